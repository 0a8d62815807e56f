"""Lines of Java stacks: equal calls of two runs, two JVMs and two printers have to come out equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threaddump_parsers.java_frames import java_frame, java_function


def read(text: str) -> tuple[str, str | None, int | None, bool]:
    frame = java_frame(text)
    assert frame is not None
    return frame.function, frame.file, frame.line, frame.native


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # HotSpot's printer: the module inside the parentheses
        ("com.shop.A.b(A.java:12)", ("com.shop.A.b", "A.java", 12, False)),
        (
            "java.lang.Thread.run(java.base@17.0.15/Thread.java:840)",
            ("java.lang.Thread.run", "Thread.java", 840, False),
        ),
        ("java.lang.Object.wait(java.base@17.0.15/Native Method)", ("java.lang.Object.wait", None, None, True)),
        ("java.lang.Object.wait(Native Method)", ("java.lang.Object.wait", None, None, True)),
        ("java.net.Socket.connect(java.base@25.0.2/Unknown Source)", ("java.net.Socket.connect", None, None, False)),
        ("com.shop.A.b(Unknown Source)", ("com.shop.A.b", None, None, False)),
        ("com.shop.A.b(A.java)", ("com.shop.A.b", "A.java", None, False)),
        ("com.shop.A.b(java.base/A.java:7)", ("com.shop.A.b", "A.java", 7, False)),
        # StackTraceElement: loader and module before the class, any of them empty
        (
            "java.base@17.0.15/java.lang.Thread.run(Thread.java:840)",
            ("java.lang.Thread.run", "Thread.java", 840, False),
        ),
        ("java.base/java.lang.Thread.run(Thread.java:840)", ("java.lang.Thread.run", "Thread.java", 840, False)),
        ("app//com.shop.X.y(X.java:1)", ("com.shop.X.y", "X.java", 1, False)),
        ("app/shop.core@1.2/com.shop.X.y(X.java:1)", ("com.shop.X.y", "X.java", 1, False)),
        ("//com.shop.X.y(X.java:1)", ("com.shop.X.y", "X.java", 1, False)),
        # Names that other compilers write
        ("com.shop.A.<init>(A.java:3)", ("com.shop.A.<init>", "A.java", 3, False)),
        ("com.shop.A.<clinit>(A.java:3)", ("com.shop.A.<clinit>", "A.java", 3, False)),
        ("com.shop.Cart$.$anonfun$1(Cart.scala:9)", ("com.shop.Cart$.$anonfun$1", "Cart.scala", 9, False)),
        (
            "com.shop.Cart$.$anonfun$sum$1$adapted(Cart.scala:9)",
            ("com.shop.Cart$.$anonfun$sum$1$adapted", "Cart.scala", 9, False),
        ),
        (
            "com.shop.CartKt$main$1.invokeSuspend(Cart.kt:12)",
            ("com.shop.CartKt$main$1.invokeSuspend", "Cart.kt", 12, False),
        ),
        (
            "com.shop.CartTest.adds an item to the cart(CartTest.kt:21)",
            ("com.shop.CartTest.adds an item to the cart", "CartTest.kt", 21, False),
        ),
        (
            "com.shop.CartTest.adds (two) items(CartTest.kt:21)",
            ("com.shop.CartTest.adds (two) items", "CartTest.kt", 21, False),
        ),
        ("com.größe.Ding.läuft(Ding.java:5)", ("com.größe.Ding.läuft", "Ding.java", 5, False)),
        ("Script1.run(Script1.groovy:4)", ("Script1.run", "Script1.groovy", 4, False)),
        ("com.shop.Proxy.call(<generated>)", ("com.shop.Proxy.call", "<generated>", None, False)),
        ("com.shop.A.b(A.java:" + "9" * 5000 + ")", ("com.shop.A.b", "A.java:" + "9" * 5000, None, False)),
        ("com.shop.A.b(A.java:٣)", ("com.shop.A.b", "A.java:٣", None, False)),
        ("com.shop.A.b()", ("com.shop.A.b", None, None, False)),
    ],
)
def test_frames(text: str, expected: tuple[str, str | None, int | None, bool]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("printed", "function"),
    [
        # Lambdas: 8 (decimal), 11 and 17 (a counter and an address), 21 (an address), the serviceability agent (+)
        ("com.shop.Cases$$Lambda$2/1234567.run", "com.shop.Cases$$Lambda.run"),
        ("com.shop.Cases$$Lambda$14/0x0000000840064c40.run", "com.shop.Cases$$Lambda.run"),
        ("com.shop.Cases$$Lambda$2/0x00007f4b80005928.run", "com.shop.Cases$$Lambda.run"),
        ("com.shop.Cases$$Lambda/0x0000000024084f98.run", "com.shop.Cases$$Lambda.run"),
        ("com.shop.Cases$$Lambda$2+0x00007f4b80005928.run", "com.shop.Cases$$Lambda.run"),
        ("app//com.shop.Cases$$Lambda/0x0000000024084f98.run", "com.shop.Cases$$Lambda.run"),
        ("shop@1/com.shop.Cases$$Lambda$2/0x00007f4b80005928.run", "com.shop.Cases$$Lambda.run"),
        # Hidden classes
        ("com.shop.Hidden/0x0000000800c03000.call", "com.shop.Hidden.call"),
        ("java.lang.invoke.LambdaForm$MH/0x0000000800c03000.invoke", "java.lang.invoke.LambdaForm$MH.invoke"),
        (
            "java.base@17/java.lang.invoke.LambdaForm$DMH/0x0000000800c03000.invokeStatic",
            "java.lang.invoke.LambdaForm$DMH.invokeStatic",
        ),
        # Proxies and accessors
        ("com.sun.proxy.$Proxy42.place", "com.sun.proxy.$Proxy.place"),
        ("jdk.proxy2/jdk.proxy2.$Proxy7.place", "jdk.proxy2.$Proxy.place"),
        (
            "jdk.internal.reflect.GeneratedMethodAccessor17.invoke",
            "jdk.internal.reflect.GeneratedMethodAccessor.invoke",
        ),
        (
            "sun.reflect.GeneratedConstructorAccessor3.newInstance",
            "sun.reflect.GeneratedConstructorAccessor.newInstance",
        ),
        (
            "sun.reflect.GeneratedSerializationConstructorAccessor1.newInstance",
            "sun.reflect.GeneratedSerializationConstructorAccessor.newInstance",
        ),
        # Subclasses made at run time
        ("com.shop.Orders$$EnhancerBySpringCGLIB$$1a2b3c.place", "com.shop.Orders$$EnhancerBySpringCGLIB.place"),
        ("com.shop.Orders$$FastClassBySpringCGLIB$$9f8e.invoke", "com.shop.Orders$$FastClassBySpringCGLIB.invoke"),
        ("com.shop.Orders$$FastClassByCGLIB$$9f8e.invoke", "com.shop.Orders$$FastClassByCGLIB.invoke"),
        ("com.shop.Orders$$SpringCGLIB$$0.place", "com.shop.Orders$$SpringCGLIB.place"),
        ("com.shop.Order$HibernateProxy$aB3xY9.getId", "com.shop.Order$HibernateProxy.getId"),
        ("com.shop.Order$ByteBuddy$aB3xY9.getId", "com.shop.Order$ByteBuddy.getId"),
        ("com.shop.Order$MockitoMock$1234.getId", "com.shop.Order$MockitoMock.getId"),
        ("com.shop.Order_$$_jvst1a2_0.getId", "com.shop.Order_$$_jvst.getId"),
        # Left alone: these are the same in every run
        ("com.shop.Cases.lambda$main$0", "com.shop.Cases.lambda$main$0"),
        ("com.shop.Outer$Inner$1.run", "com.shop.Outer$Inner$1.run"),
        ("com.shop.Lambda.run", "com.shop.Lambda.run"),
        ("com.shop.GeneratedReport2.print", "com.shop.GeneratedReport2.print"),
    ],
)
def test_generated_classes(printed: str, function: str) -> None:
    assert java_function(printed) == function
    assert read(f"{printed}(Unknown Source)")[0] == function


@pytest.mark.parametrize(
    "text",
    [
        "com.shop.Front",
        "com.shop.A.b(A.java:12",
        "com.shop.A.b A.java:12)",
        "",
        "()",
        "(A.java:12)",
        "noclass(A.java:12)",
        "the end of the queue (v. 1.2)",
        "checkout.service, see above (docs/retries)",
    ],
)
def test_other_text_is_no_frame(text: str) -> None:
    assert java_frame(text) is None


def test_text_behind_the_source_is_ignored() -> None:
    """Logging libraries name the jar there."""
    assert read("com.shop.A.b(A.java:12) ~[shop.jar:1.0]") == ("com.shop.A.b", "A.java", 12, False)


@given(st.text())
def test_total(text: str) -> None:
    frame = java_frame(text)
    assert frame is None or "." in text
    java_function(text)


@given(st.from_regex(r"[a-z]{1,3}(\.[A-Z]\w{0,3}){1,2}\.[a-z]{1,4}", fullmatch=True), st.integers(1, 99999))
def test_plain_names_stay(function: str, line: int) -> None:
    assert read(f"{function}(File.java:{line})") == (function, "File.java", line, False)
    assert read(f"java.base@21/{function}(java.base@21/File.java:{line})") == (function, "File.java", line, False)
