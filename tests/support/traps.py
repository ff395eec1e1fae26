"""Sources that are traps for whoever reads or computes them: deep, long, growing, endless, or wrong in every way."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Callable

Shape = Callable[[int], str]


def _repeated(start: str, middle: str, end: str = "") -> Shape:
    """`start` and `end` once, `middle` so many times."""
    return lambda depth: start + middle * depth + end


def _nested(start: str, left: str, inner: str, right: str, end: str = "") -> Shape:
    """`left` and `right` so many times around `inner`."""
    return lambda depth: start + left * depth + inner + right * depth + end


def _joined(between: str, each: str, start: str = "X = ", end: str = "") -> Shape:
    return lambda depth: start + between.join([each] * depth) + end


def _indented(line: str) -> Shape:
    """Blocks in blocks, as deep as the tokenizer allows."""
    return lambda depth: "".join(f"{' ' * level}{line}\n" for level in range(min(depth, 98))) + " " * 99 + "pass"


DEEP: dict[str, Shape] = {
    "brackets": _nested("", "[", "", "]"),
    "parentheses": _nested("", "(", "1", ")"),
    "open braces": _repeated("", "{"),
    "signs": _repeated("X = ", "-", "1"),
    "nots": _repeated("X = ", "not ", "1"),
    "lambdas": _repeated("X = ", "lambda: ", "1"),
    "attributes": _repeated("a", ".b"),
    "calls": _repeated("f", "()"),
    "items": _repeated("a", "[0]"),
    "sums": _joined("+", "'a'"),
    "powers": _joined("**", "2"),
    "conditions": _repeated("X = ", "1 if a else ", "2"),
    "alternatives": _joined(" or ", "a"),
    "comparisons": _joined(" < ", "a"),
    "awaits": _repeated("async def f():\n  ", "await ", "x"),
    "blocks": _indented("if a:"),
    "functions": _indented("def f():"),
    "classes": _indented("class A:"),
    "else-ifs": _repeated("if a: pass\n", "elif a: pass\n"),
    "decorators": _repeated("", "@f\n", "def g(): pass"),
    "formatted texts": lambda depth: "X = " + "f'{" * min(depth, 4) + "1" + "}'" * min(depth, 4),
    "comprehensions": _nested("X = ", "[", "a", " for a in b]"),
    "stars": _joined(", ", "*a", "f(", ")"),
    "targets": _repeated("", "a = ", "1"),
    "named expressions": _nested("X = ", "(a := ", "1", ")"),
    "dots of an import": _repeated("from ", ".", " import x"),
    "dotted import": _joined(".", "a", "import "),
    "quotes": _repeated("'''", '"""'),
    "continuations": _repeated("X = 1", "\\\n"),
    "statements of a line": _joined(";", "a=1", ""),
    "getattrs": _nested("X = ", "getattr(", "a", ",'b')"),
    "execs": _nested("", "exec(", "'1'", ")"),
    "calls of items": _nested("X = ", "f(", "1", ")[0]"),
    "patterns": _nested("match a:\n case ", "[", "b", "]", ": pass"),
    "type parameters": lambda depth: f"def f[{', '.join(f'T{number}' for number in range(depth))}](): pass",
}
"""Shapes of sources by name; each gives the text of a depth or length."""


def _text(source: str) -> str:
    return textwrap.dedent(source[1:])


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


TRAPS: dict[str, str] = {
    "digits": "X = " + "9" * 10_000,
    "hexadecimal digits": "X = 0x" + "f" * 1_000_000,
    "numbers that grow": _text("""
        A = 1 << 1 << 4000 << 4000 << 4000
        B = 9 ** 9 ** 9 ** 9
        C = ((2 ** 64) ** 64) ** 64 ** 64
        D = int('9' * 1000000) + int('z' * 4000, 36)
        E = str(C) + str(D) + '%d' % C
        F = 1 // 0 + 1 % 0 + 0 ** -1 + (1 << -1)
        """),
    "numbers that are none": _text("""
        a = 1e999
        b = int(a) + int(a - a) + int(1e300)
        c = bytes([a - a]) + bytearray(-1) + bytes([256])
        d = chr(a) + chr(-1) + chr(10 ** 9) + chr(0xD800)
        """),
    "texts that grow": _text("""
        A = 'a' * 10 ** 12
        B = 'ab' * 1000000 * 1000000
        C = [1] * 10 ** 9
        D = ('a' * 1000000).replace('a', 'b' * 1000000)
        E = ('b' * 1000000).join(['a'] * 100000)
        F = 'a'.zfill(10 ** 10) + 'a'.ljust(10 ** 10) + 'a'.center(10 ** 10) + '\\t'.expandtabs(10 ** 10)
        G = ('a,' * 1000000).split(',')
        H = bytes(10 ** 12) + bytearray(10 ** 12)
        """),
    "translations that grow": _text("""
        A = ('a' * 1000000).translate({97: 'b' * 1000000})
        B = ('a' * 1000000).translate(['b' * 1000000] * 100)
        C = ('a' * 1000000).translate('b' * 1000000)
        """),
    "formats that grow": _text("""
        A = '%999999999d' % 1
        B = '{:>999999999}'.format(1)
        C = f'{1:999999999}'
        D = '%*d' % (10 ** 9, 1)
        E = '{0}' * 100000
        F = E.format('a' * 100000)
        G = '%s' * 100000 % (('a' * 100000,) * 100000)
        H = '%s' % ([['a' * 1000000] * 1000] * 1000,)
        I = '{}'.format([['a' * 1000000] * 1000] * 1000)
        """),
    "templates that are wrong": _text("""
        A = '{0.__class__.__mro__}'.format(1)
        B = '%(x)s' % {}
        C = '%s' % ()
        D = '{}'.format()
        E = '{!z}'.format(1)
        F = f'{x!r:{y}}'
        G = '%' % 1
        H = '{'.format(1)
        I = '{a[b]}'.format(1)
        """),
    "doubling": "x = 'aaaaaaaa'\n" + "x = x + x\n" * 60 + "exec(x)",
    "doubling of a list": "x = [1]\n" + "x = x + x\n" * 60 + "y = [*x, *x, *x]",
    "doubling in a loop": _text("""
        x = 'a'
        for y in range(4000):
            x = x + x
            x += x
        """),
    "loops in loops": "\n".join(f"{' ' * n}for x{n} in range(4000):" for n in range(20)) + "\n" + " " * 20 + "y = 1",
    "ranges": _text("""
        A = list(range(10 ** 30))
        B = list(range(0, -10 ** 30, -1))
        C = ''.join(chr(c) for c in range(10 ** 9))
        D = [[a for a in range(10 ** 5)] for b in range(10 ** 5)]
        E = 'abc'[::0] + 'abc'[10 ** 30:] + [1][10 ** 30]
        """),
    "zip bomb": f"import zlib, base64\nexec(zlib.decompress(base64.b64decode('{_packed(bytes(80_000_000))}')))",
    "zip bombs": f"import zlib\nx = {zlib.compress(bytes(3_000_000))!r}\n" + "zlib.decompress(x)\n" * 200,
    "code that makes itself": "x = 'exec(x)'\nexec(x)",
    "code that grows": _text("""
        def f(x):
            exec('f(x + x)')
            f(x + 'a')
        f('a')
        """),
    "function that calls itself": "def f(x):\n    return f(f(x + 1)) + f(x - 1)\nf(1)",
    "functions that call one another": (
        "\n".join(f"def f{n}(x): return f{n + 1}(x) + f{n + 1}(x + 1)" for n in range(60)) + "\nf0(1)"
    ),
    "lambdas that call one another": "f = lambda g, x: g(g, x) + g(g, x + 1)\nf(f, 1)",
    "decorator of itself": "@f\ndef f(x): return x(x)\nf(f)\n@f\n@f\nclass f(f): pass",
    "classes that inherit from themselves": _text("""
        class A(A): pass
        class B(A): pass
        A = B
        class A(B):
            def f(self): return self.f().f
        A().f()
        """),
    "names of unicode": "ﬁ = 1\nexec(ﬁ)\n\U0001d522\U0001d535\U0001d522\U0001d520('1')\nº = 2",
    "surrogates": _text("""
        import os
        x = '\\ud800'
        exec(x)
        open(x, 'w').write(x)
        os.system(x + '\\udfff')
        os.environ[x]
        __import__(x)
        getattr(os, x)(x)
        """),
    "zero bytes": "import os\nos.system('\\0')\nexec('\\0')\nopen('\\0').read()\n__import__('\\0')",
    "keys of every kind": _text("""
        x = {}
        x[1.5] = 1
        x[None] = x
        x['x'] = x
        exec(x['x'])
        y = {[]: 1}
        z = {**x, **None}
        x[x] = [x, y, z]
        """),
    "calls of constants": "'a'()\n1()\nNone.x()\n[1, 2]('x')\n(lambda: 0)()()()\n...[...]()",
    "arguments of every kind": _text("""
        import base64, codecs, zlib
        base64.b64decode()
        base64.b64decode(1, 2, 3)
        zlib.decompress(b'x', 10 ** 30)
        exec()
        eval(*[])
        open()
        getattr()
        __import__()
        chr('a')
        ord('ab')
        range(1.5)
        map()
        bytes.fromhex(1)
        bytes.fromhex('zz')
        ''.join(1)
        'a'.translate()
        'a'.decode()
        'a'.encode()
        'a'.join()
        'a'.format(*[])
        'a'.replace()
        'a'.zfill()
        setattr(1)
        compile()
        dict(1)[2]
        sum(*range(10 ** 9))
        sorted(1, key=sorted)
        reversed({})
        """),
    "codecs of every kind": _text("""
        import codecs
        'a'.encode('no-such')
        b'a'.decode('hex')
        'a'.encode('undefined')
        b'a'.decode('idna')
        ('.' * 300).encode('idna')
        codecs.decode('a', 'punycode')
        codecs.decode(b'\\xff', 'undefined')
        codecs.encode('a', 'idna')
        'a'.encode('a' * 10000)
        'a'.encode('\\0')
        b'a'.decode(None)
        """),
    "Python 2": _text("""
        print 'a', 1
        exec 'x' in {}
        raise E, 'x'
        `x`
        0777
        ur'x'
        print >>f, 'a'
        """),
}
"""Sources by name, in which computing goes wrong unless it is bounded."""
