"""A strict checker of the part of Pine v6 that is exported: what is not known here is an error.

It has a parser of its own, so that it shares no blind spot with the compiler that the scripts are run with. Every
builtin must stand in its tables, with the names, types and qualifiers of its arguments; a test compares the names with
those of PyneCore. It is stricter than TradingView: every variable has a type, no line is wrapped, ``%`` only as a
remainder that cannot be negative, no history of anything but a variable, no loop that might count down.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONST, INPUT, SIMPLE, SERIES = range(4)
QUALIFIERS = ("const", "input", "simple", "series")
MOST_PLOTS, MOST_TOKENS, MOST_TEXT, MOST_LINE = 64, 100_256, 4096, 4096

TOKEN = re.compile(
    r"""(?P<space>[ ]+)|(?P<comment>//.*)
    |(?P<string>"(?:[^"\\]|\\["\\n])*")|(?P<colour>\#[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?(?!\w))
    |(?P<number>(?:\d+\.\d+|\d+)(?:e[+-]?\d+)?(?![\w.]))|(?P<name>[A-Za-z_]\w*)
    |(?P<op>:=|\+=|-=|\*=|=>|==|!=|<=|>=|[-+*/%<>=?:,.()\[\]])""",
    re.VERBOSE,
)
KEYWORDS = {"if", "else", "for", "in", "to", "by", "while", "break", "continue", "and", "or", "not", "var", "type"}
KEYWORDS |= {"true", "false", "na", "varip", "switch", "import", "export", "method", "enum", "return"}
# Every name of Pine v6 without a point, and every namespace: nothing else may be called so.
NAMES = """
alert alertcondition ask bar_index barcolor bgcolor bid bool box close color dayofmonth dayofweek fill fixnan float
high hl2 hlc3 hlcc4 hline hour indicator input int label last_bar_index last_bar_time library line linefill low
max_bars_back minute month na nz ohlc4 open plot plotarrow plotbar plotcandle plotchar plotshape polyline second
strategy string table time time_close time_tradingday timenow timestamp volume weekofyear year adjustment array
backadjustment barmerge barstate chart currency display dividends earnings extend font footprint format location
log map math matrix order position request runtime scale session settlement_as_close shape size splits str syminfo
ta text ticker timeframe volume_row xloc yloc
"""
LATER = "catch class do ellipse is polygon range struct throw try"  # words that Pine keeps for later
RESERVED = set(NAMES.split()) | set(LATER.split())
PLAIN = {"int", "float", "bool", "string", "color", "box", "line", "label", "table"}
NUMBERS = {"int", "float"}

# Builtin variables: name -> (type, qualifier) -----------------------------------------------------------------------

VARIABLES: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("open", "high", "low", "close", "volume"), ("float", SERIES)),
    "time": ("int", SERIES),
    **{f"barstate.{name}": ("bool", SERIES) for name in ("isconfirmed", "islast", "islastconfirmedhistory", "isfirst")},
    "syminfo.tickerid": ("string", SIMPLE),
    "timeframe.period": ("string", SIMPLE),
    "chart.fg_color": ("color", INPUT),
    "chart.bg_color": ("color", INPUT),
    "strategy.position_size": ("float", SERIES),
}
ENUMS = {
    "color": "teal maroon blue orange",
    "shape": "triangleup triangledown diamond",
    "location": "abovebar belowbar",
    "size": "tiny small",
    "display": "data_window none",
    "line": "style_dotted",
    "label": "style_none",
    "xloc": "bar_time",
    "extend": "right",
    "position": "top_right",
    "text": "align_left align_right",
    "format": "mintick volume",
    "order": "descending",
    "alert": "freq_once_per_bar_close",
    "barmerge": "lookahead_on lookahead_off gaps_off",
    "strategy": "long short percent_of_equity",
    "strategy.commission": "percent",
}
KIND_OF = {"color": "color", "format": "string", "line": "linestyle", "label": "labelstyle", "text": "textalign"}
KIND_OF |= {"strategy.commission": "commission"}
for _space, _names in ENUMS.items():
    for _name in _names.split():
        VARIABLES[f"{_space}.{_name}"] = (KIND_OF.get(_space, _space), CONST)
for _name, _kind in {"long": "direction", "short": "direction", "percent_of_equity": "qtytype"}.items():
    VARIABLES[f"strategy.{_name}"] = (_kind, CONST)
for _name in ("lookahead_on", "lookahead_off"):
    VARIABLES[f"barmerge.{_name}"] = ("lookahead", CONST)

# Builtin functions: [c i s x = at most const, input, simple, series] type name[?], ... -> type [qualifier];
# what stands after * is given by name ---------------------------------------------------------------------------------

SIGNATURES = """
indicator(c string title, c string shorttitle?, *, c bool overlay?, c int max_lines_count?, c int max_labels_count?, \
c int max_boxes_count?, c int calc_bars_count?) -> void
strategy(c string title, c string shorttitle?, *, c bool overlay?, c int max_lines_count?, c int max_labels_count?, \
c int max_boxes_count?, c int calc_bars_count?, c float initial_capital?, c qtytype default_qty_type?, \
c float default_qty_value?, c commission commission_type?, c float commission_value?, c int pyramiding?, \
c bool process_orders_on_close?) -> void
input.int(c int defval, c string title, *, c int minval?, c int maxval?, c string tooltip?, \
c string group?, c display display?) -> int i
input.float(c float defval, c string title, *, c float minval?, c float maxval?, c string tooltip?, \
c string group?, c display display?) -> float i
input.bool(c bool defval, c string title, *, c string tooltip?, c string group?) -> bool i
input.string(c string defval, c string title, *, c options options?, c string tooltip?, c string group?, \
c display display?) -> string i
input.color(c color defval, c string title, *, c string tooltip?, c string group?) -> color i
input.timeframe(c string defval, c string title, *, c string tooltip?, c string group?, c display display?) -> string i
timeframe.in_seconds(s string timeframe?) -> int s
ticker.standard(s string symbol?) -> string s
math.abs(x float number) -> float
math.exp(x float number) -> float
math.log(x float number) -> float
math.pow(x float base, x float exponent) -> float
math.floor(x float number) -> int
nz(x float source) -> float
color.new(x color color, x float transp) -> color
str.tostring(x float|int|string value, x string format?) -> string
str.replace_all(x string source, x string target, x string replacement) -> string
plot(x float series, c string title, *, i display display?) -> void
plotshape(x bool series, c string title, *, i shape style?, i location location?, x color color?, i size size?) -> void
alertcondition(x bool condition, c string title, c string message) -> void
alert(x string message, i alert freq) -> void
runtime.error(x string message) -> void
box.new(x int left, x float top, x int right, x float bottom, *, x color border_color?, x xloc xloc?, \
x extend extend?, x color bgcolor?) -> box
box.delete(x box id) -> void
line.new(x int x1, x float y1, x int x2, x float y2, *, x xloc xloc?, x extend extend?, x color color?, \
x linestyle style?) -> line
line.delete(x line id) -> void
label.new(x int x, x float y, x string text?, *, x xloc xloc?, x labelstyle style?, x color textcolor?, \
x size size?) -> label
label.delete(x label id) -> void
table.new(x position position, x int columns, x int rows, *, x color bgcolor?, x color border_color?, \
x int border_width?) -> table
table.cell(x table table_id, x int column, x int row, x string text?, *, x color text_color?, \
x textalign text_halign?, x size text_size?) -> void
request.security(x string symbol, x string timeframe, x any expression, *, i lookahead lookahead?, \
i bool ignore_invalid_symbol?) -> any
strategy.entry(x string id, x direction direction) -> void
strategy.exit(x string id, x string from_entry?, *, x float stop?) -> void
strategy.close(x string id) -> void
array.size(x A id) -> int
array.get(x A id, x int index) -> T
array.set(x A id, x int index, x T value) -> void
array.push(x A id, x T value) -> void
array.insert(x A id, x int index, x T value) -> void
array.remove(x A id, x int index) -> T
array.shift(x A id) -> T
array.clear(x A id) -> void
array.fill(x A id, x T value) -> void
array.max(x N id) -> T
array.sum(x N id) -> T
array.sort(x N id, x order order?) -> void
array.slice(x A id, x int index_from, x int index_to) -> A
"""
GLOBAL_ONLY = {"plot", "plotshape", "alertcondition", "indicator", "strategy", "request.security"}


@dataclass
class Argument:
    kinds: set[str]
    name: str
    ceiling: int
    optional: bool
    named: bool


@dataclass
class Signature:
    arguments: list[Argument]
    result: str
    qualifier: int | None  # None: the highest of the arguments'


def _read_signatures() -> dict[str, Signature]:
    table = {}
    for row in SIGNATURES.strip().splitlines():
        name, inside, result, qualifier = re.fullmatch(r"([\w.]+)\((.*)\) -> (\w+)(?: ([cisx]))?", row).groups()
        arguments = []
        before, _, after = inside.partition(", *, ")
        for part, named in ((before, False), (after, True)):
            for one in filter(None, part.split(", ")):
                ceiling, kinds, argument = one.split()
                optional = argument.endswith("?")
                arguments.append(
                    Argument(set(kinds.split("|")), argument.rstrip("?"), "cisx".index(ceiling), optional, named)
                )
        table[name] = Signature(arguments, result, None if qualifier is None else "cisx".index(qualifier))
    return table


FUNCTIONS = _read_signatures()


class PineError(Exception):
    """What is wrong, and the number of the line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line


# Lines to trees: a node is a tuple that starts with its kind --------------------------------------------------------


@dataclass
class Line:
    number: int
    depth: int
    tokens: list[tuple[str, str]]
    body: list[Line] = field(default_factory=list)


def _tokens_of(text: str, number: int) -> list[tuple[str, str]]:
    tokens = []
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise PineError(number, f"cannot read {text[at : at + 20]!r}")
        at = match.end()
        kind = str(match.lastgroup)
        if kind not in ("space", "comment"):
            tokens.append((kind, match[0]))
        if kind == "string" and len(match[0]) > MOST_TEXT:
            raise PineError(number, f"a text of more than {MOST_TEXT} characters")
    return tokens


def _blocks(source: str) -> tuple[list[Line], int]:
    """(lines with their blocks, number of tokens; a text counts two a character, as it does for TradingView)."""
    raw = source.split("\n")
    if raw[0] != "//@version=6":
        raise PineError(1, "the first line must be //@version=6")
    if raw[-1] != "":
        raise PineError(len(raw), "the last line must end")
    top = Line(0, -1, [])
    open_lines = [top]
    count = 0
    for number, text in enumerate(raw, 1):
        if any(ord(c) < 32 or ord(c) in (127, 0x85, 0x2028, 0x2029) for c in text):
            raise PineError(number, "a control character")
        tokens = _tokens_of(text, number)
        if not tokens:
            continue
        if len(text) > MOST_LINE * 4:
            raise PineError(number, "a line that is too long")
        count += sum(2 * len(word) if kind == "string" else 1 for kind, word in tokens)
        indent = len(text) - len(text.lstrip(" "))
        if indent % 4:
            raise PineError(number, "the indent is no multiple of four")
        depth = indent // 4
        while open_lines[-1].depth >= depth:
            open_lines.pop()
        if depth != open_lines[-1].depth + 1:
            raise PineError(number, "the indent belongs to no block")
        line = Line(number, depth, tokens)
        open_lines[-1].body.append(line)
        open_lines.append(line)
    if count > MOST_TOKENS:
        raise PineError(0, f"{count} tokens, at most {MOST_TOKENS}")
    return top.body, count


class Words:
    """The tokens of a line, read from the left."""

    BINARY = ({"or"}, {"and"}, {"==", "!="}, {"<", "<=", ">", ">="}, {"+", "-"}, {"*", "/", "%"})

    def __init__(self, line: Line) -> None:
        self.line = line.number
        self.tokens = line.tokens
        self.at = 0

    def fail(self, what: str) -> Any:
        raise PineError(self.line, what)

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        word = self.peek()
        if not word or (expected and word != expected):
            self.fail(f"expected {expected or 'more'}, found {word or 'the end of the line'}")
        self.at += 1
        return word

    def name(self) -> str:
        if self.kind() != "name" or self.peek() in KEYWORDS:
            self.fail(f"expected a name, found {self.peek() or 'the end of the line'}")
        return self.take()

    def accept(self, word: str) -> bool:
        if self.peek() != word or self.kind() == "string":
            return False
        self.at += 1
        return True

    def end(self) -> None:
        if self.at < len(self.tokens):
            self.fail(f"expected the end of the line, found {self.peek()!r}")

    def type_name(self) -> str:
        name = self.name()
        if name == "array":
            self.take("<")
            name = f"array<{self.type_name()}>"
            self.take(">")
        return name

    def dotted(self) -> str:
        name = self.name()
        while self.accept("."):
            name += "." + (self.take() if self.peek() in ("new",) else self.name())
        return name

    def expression(self) -> tuple:
        condition = self.binary(0)
        if not self.accept("?"):
            return condition
        yes = self.expression()
        self.take(":")
        return ("ternary", condition, yes, self.expression())

    def binary(self, level: int) -> tuple:
        if level == len(self.BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in self.BINARY[level] and self.kind() != "string":
            operator = self.take()
            left = ("binary", operator, left, self.binary(level + 1))
            if level in (2, 3) and self.peek() in self.BINARY[level]:
                self.fail("comparisons cannot be chained")
        return left

    def unary(self) -> tuple:
        if self.peek() in ("-", "not") and self.kind() != "string":
            return ("unary", self.take(), self.unary())
        return self.postfix()

    def postfix(self) -> tuple:
        node = self.atom()
        while self.accept("["):
            node = ("history", node, self.expression())
            self.take("]")
        return node

    def atom(self) -> tuple:
        kind, word = self.kind(), self.peek()
        if kind == "number":
            self.take()
            return ("literal", "float" if "." in word or "e" in word else "int", word)
        if kind in ("string", "colour"):
            self.take()
            return ("literal", "string" if kind == "string" else "color", word)
        if word in ("true", "false"):
            self.take()
            return ("literal", "bool", word)
        if word == "(":
            self.take()
            inside = self.expression()
            self.take(")")
            return ("paren", inside)
        if word == "[":
            return ("list", self.items("[", "]"))
        if word == "na":
            self.take()
            return ("call", "na", "", self.arguments()) if self.peek() == "(" else ("na",)
        name = self.dotted()
        generic = ""
        if name == "array.new":
            self.take("<")
            generic = self.type_name()
            self.take(">")
        return ("call", name, generic, self.arguments()) if self.peek() == "(" else ("name", name)

    def items(self, start: str, end: str) -> list[tuple]:
        self.take(start)
        found = []
        while not self.accept(end):
            if found:
                self.take(",")
            found.append(self.expression())
        return found

    def arguments(self) -> list[tuple[str, tuple]]:
        """(name or "", value) of each argument; names come last and once."""
        self.take("(")
        found: list[tuple[str, tuple]] = []
        while not self.accept(")"):
            if found:
                self.take(",")
            name = ""
            if self.kind() == "name" and self.peek(1) == "=":
                name = self.take()
                self.take("=")
            if not name and found and found[-1][0]:
                self.fail("an argument without a name after one with a name")
            if name and name in (given for given, _ in found):
                self.fail(f"argument {name!r} is given twice")
            found.append((name, self.expression()))
        return found


# Types ---------------------------------------------------------------------------------------------------------------

Typed = tuple[str, int]  # type and qualifier


@dataclass
class Variable:
    kind: str
    qualifier: int
    is_global: bool


@dataclass
class Script:
    """What was found in a script that is right."""

    form: str
    plots: int
    tokens: int
    inputs: dict[str, str]
    boxes: int


class Checker:
    def __init__(self, source: str) -> None:
        self.lines, self.tokens = _blocks(source)
        self.types: dict[str, dict[str, str]] = {}
        self.functions: dict[str, tuple[list[tuple[str, str]], str]] = {}
        self.scopes: list[dict[str, Variable]] = [{}]
        self.in_function = False
        self.given: set[str] = set()  # the arguments of the function that is being read
        self.loops = 0
        self.line = 0
        self.plots = 0
        self.form = ""
        self.outputs = 0
        self.boxes = 0
        self.inputs: dict[str, str] = {}

    def fail(self, what: str) -> Any:
        raise PineError(self.line, what)

    def check(self) -> Script:
        for index, line in enumerate(self.lines):
            self.line = line.number
            head = Words(line)
            declares = head.peek() in ("indicator", "strategy") and head.peek(1) == "("
            if declares != (index == 0):
                self.fail("indicator() or strategy() must come first, and once")
        self.block(self.lines)
        if self.plots > MOST_PLOTS:
            self.fail(f"{self.plots} plots, at most {MOST_PLOTS}")
        if not self.outputs:
            self.fail("the script has no output")
        return Script(self.form, self.plots, self.tokens, self.inputs, self.boxes)

    # Statements

    def block(self, lines: list[Line]) -> Typed:
        result: Typed = ("void", CONST)
        ended = ""
        previous = ""
        for line in lines:
            self.line = line.number
            if ended:
                self.fail(f"nothing is reached after {ended}")
            words = Words(line)
            first = words.peek()
            if first == "else" and previous not in ("if", "else if"):
                self.fail("else without if")
            result = self.statement(line, words)
            previous = "else if" if first == "else" and line.tokens[1:] and line.tokens[1][1] == "if" else first
            ended = first if first in ("break", "continue") else ""
        return result

    def inner(self, lines: list[Line], **names: str) -> Typed:
        if not lines:
            self.fail("a block is missing")
        self.scopes.append({})
        for name, kind in names.items():
            self.declare(name, kind, SERIES)
        result = self.block(lines)
        self.scopes.pop()
        return result

    def statement(self, line: Line, words: Words) -> Typed:
        first = words.peek()
        nothing: Typed = ("void", CONST)
        if first in ("varip", "switch", "import", "export", "method", "enum", "return"):
            self.fail(f"{first} is not exported")
        if first == "type":
            self.declare_type(line, words)
        elif first in ("if", "else"):
            words.take()
            if first == "if" or words.accept("if"):
                self.condition(words, "if")
            words.end()
            self.inner(line.body)
        elif first == "while":
            words.take()
            self.condition(words, "while")
            words.end()
            self.loop(line)
        elif first == "for":
            self.for_loop(line, words)
        elif first in ("break", "continue"):
            words.take()
            words.end()
            if not self.loops:
                self.fail(f"{first} outside a loop")
        elif first == "[" and ("op", "=") in line.tokens:
            self.destructure(words)
        elif words.kind() == "name" and words.peek(1) == "(" and line.tokens[-1][1] == "=>":
            self.define(line, words)
            return nothing
        elif first == "var" or self.starts_declaration(words):
            self.declaration(words)
        else:
            result = self.plain(words)
            if line.body:
                self.fail("an indented block that belongs to nothing")
            return result
        if line.body and first not in ("if", "else", "while", "for", "type"):
            self.fail("an indented block that belongs to nothing")
        return nothing

    def starts_declaration(self, words: Words) -> bool:
        return words.kind() == "name" and (
            words.kind(1) == "name" or (words.peek() == "array" and words.peek(1) == "<")
        )

    def condition(self, words: Words, what: str) -> None:
        kind, _ = self.value(words.expression())
        if kind != "bool":
            self.fail(f"{what} needs a bool, found {kind}")

    def loop(self, line: Line, **names: str) -> None:
        self.loops += 1
        self.inner(line.body, **names)
        self.loops -= 1

    def for_loop(self, line: Line, words: Words) -> None:
        words.take("for")
        if words.peek() == "[" or words.peek(1) == "in":
            many = words.accept("[")
            names = [words.name()]
            if many:
                words.take(",")
                names.append(words.name())
                words.take("]")
            words.take("in")
            kind, _ = self.value(words.expression())
            words.end()
            inside = self.element(kind)
            self.loop(line, **({names[0]: "int", names[1]: inside} if many else {names[0]: inside}))
            return
        name = words.name()
        words.take("=")
        bounds = [words.expression()]
        words.take("to")
        bounds.append(words.expression())
        if words.accept("by"):
            bounds.append(words.expression())
        words.end()
        for bound in bounds:
            kind, qualifier = self.value(bound)
            if kind != "int" or qualifier > INPUT:
                self.fail(f"a bound of for must be an int that no bar changes (it might count down), found {kind}")
        self.loop(line, **{name: "int"})

    def declare_type(self, line: Line, words: Words) -> None:
        words.take("type")
        name = words.name()
        words.end()
        if len(self.scopes) > 1 or name in self.types or name in RESERVED or not line.body:
            self.fail(f"type {name} cannot be declared here")
        fields: dict[str, str] = {}
        self.types[name] = fields
        for one in line.body:
            self.line = one.number
            inside = Words(one)
            kind = self.known(inside.type_name())
            field_name = inside.name()
            if field_name in fields:
                self.fail(f"field {field_name} is declared twice")
            fields[field_name] = kind
            if inside.accept("="):
                default, qualifier = self.value(inside.expression())
                if qualifier != CONST:
                    self.fail("the default of a field must be a literal")
                self.fits(default, kind, f"field {field_name}")
            inside.end()
            if one.body:
                self.fail("an indented block that belongs to nothing")

    def define(self, line: Line, words: Words) -> None:
        name = words.name()
        if len(self.scopes) > 1:
            self.fail("a function inside a block")
        if name in self.functions or name in RESERVED or name in self.scopes[0]:
            self.fail(f"{name} is declared already")
        words.take("(")
        arguments: list[tuple[str, str]] = []
        while not words.accept(")"):
            if arguments:
                words.take(",")
            kind = self.known(words.type_name())
            arguments.append((words.name(), kind))
        words.take("=>")
        words.end()
        if len({argument for argument, _ in arguments}) < len(arguments):
            self.fail("two arguments of one name")
        self.in_function, self.given = True, {argument for argument, _ in arguments}
        result, _ = self.inner(line.body, **dict(arguments))
        self.in_function, self.given = False, set()
        if result == "void" and line.body[-1].tokens[0][1] in ("if", "else", "for", "while", "var", "["):
            self.line = line.body[-1].number
            self.fail("a function must end with a value")
        self.functions[name] = (arguments, result)

    def declaration(self, words: Words) -> None:
        is_var = words.accept("var")
        kind = self.known(words.type_name())
        name = words.name()
        words.take("=")
        expression = words.expression()
        words.end()
        found, qualifier = self.value(expression)
        self.fits(found, kind, name)
        if kind.startswith("array<") and not is_var and len(self.scopes) == 1 and qualifier != SERIES:
            self.fail(f"{name} is made anew on every bar: var is missing")
        if expression[0] == "call" and expression[1].startswith("input."):
            if len(self.scopes) > 1:
                self.fail("an input in a block")
            self.inputs[name] = expression[1]
        self.declare(name, kind, SERIES if is_var or len(self.scopes) > 1 else qualifier)

    def declare(self, name: str, kind: str, qualifier: int) -> None:
        if any(name in scope for scope in self.scopes):
            self.fail(f"{name} is declared already, here or further out")
        if name in RESERVED or name in self.functions or name in self.types:
            self.fail(f"{name} is the name of something else")
        self.scopes[-1][name] = Variable(kind, qualifier, len(self.scopes) == 1)

    def destructure(self, words: Words) -> None:
        names = [one[1] if one[0] == "name" else self.fail("expected names") for one in words.items("[", "]")]
        words.take("=")
        kind, _ = self.value(words.expression())
        words.end()
        if not kind.startswith("tuple<") or len(parts := kind[6:-1].split("|")) != len(names):
            self.fail(f"{len(names)} names for {kind}")
        for name, part in zip(names, parts, strict=True):
            self.declare(name, part, SERIES)

    def plain(self, words: Words) -> Typed:
        """An assignment to what is declared, or a value."""
        start = words.at
        if words.kind() == "name" and words.peek() not in KEYWORDS:
            target = words.dotted()
            operator = words.peek()
            if operator == "=":
                self.fail(f"{target}: a declaration needs a type; := assigns")
            if operator in (":=", "+=", "-=", "*="):
                words.take()
                return self.assign(target, operator, words)
        words.at = start
        result = self.value(words.expression())
        words.end()
        return result

    def assign(self, target: str, operator: str, words: Words) -> Typed:
        name, *fields = target.split(".")
        variable = self.find(name)
        if variable is None:
            return self.fail(f"{name} is not declared")
        kind = self.member(variable.kind, fields)
        if self.in_function and variable.is_global and not fields:
            self.fail(f"a function cannot assign to the global {name}")
        if name in self.given and not fields:
            self.fail(f"a function cannot assign to its argument {name}")
        found, _ = self.value(words.expression())
        words.end()
        if operator != ":=":
            if kind not in NUMBERS and not (kind == "string" and operator == "+="):
                self.fail(f"{operator} on {kind}")
            if found == "na":
                self.fail(f"{operator} na")
        self.fits(found, kind, target)
        if not fields:
            variable.qualifier = SERIES
        return kind, SERIES

    # Values

    def known(self, kind: str) -> str:
        inside = kind[6:-1] if kind.startswith("array<") else kind
        if inside not in PLAIN and inside not in self.types:
            self.fail(f"unknown type {kind}")
        return kind

    def element(self, kind: str) -> str:
        return kind[6:-1] if kind.startswith("array<") else self.fail(f"expected an array, found {kind}")

    def fits(self, found: str, kind: str, what: str) -> None:
        if found == kind or (found == "int" and kind == "float") or (found == "na" and kind != "bool"):
            return
        self.fail(f"{what}: found {found}, expected {kind}")

    def find(self, name: str) -> Variable | None:
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def member(self, kind: str, fields: list[str]) -> str:
        for name in fields:
            if kind not in self.types or name not in self.types[kind]:
                self.fail(f"{kind} has no field {name}")
            kind = self.types[kind][name]
        return kind

    def value(self, node: tuple) -> Typed:
        typed = getattr(self, f"value_of_{node[0]}")(*node[1:])
        if typed[0] == "any":
            self.fail("of unknown type")
        return typed

    def value_of_literal(self, kind: str, _: str) -> Typed:
        return kind, CONST

    def value_of_na(self) -> Typed:
        return "na", CONST

    def value_of_paren(self, inside: tuple) -> Typed:
        return self.value(inside)

    def value_of_list(self, items: list[tuple]) -> Typed:
        parts = [self.value(item) for item in items]
        if not parts or any(kind in ("void", "na") for kind, _ in parts):
            self.fail("a list of nothing")
        return f"tuple<{'|'.join(kind for kind, _ in parts)}>", max(qualifier for _, qualifier in parts)

    def value_of_name(self, name: str) -> Typed:
        first, *fields = name.split(".")
        variable = self.find(first)
        if variable is not None:
            return self.member(variable.kind, fields), SERIES if fields else variable.qualifier
        if name not in VARIABLES:
            self.fail(f"{name} is not declared")
        return VARIABLES[name]

    def value_of_history(self, node: tuple, offset: tuple) -> Typed:
        if node[0] != "name" or "." in node[1] or self.find(node[1]) is None:
            self.fail("[] only on a variable of the script: assign it first")
        if offset[0] != "literal" or offset[1] != "int":
            self.fail("[] only with a whole number, not below 0")
        kind, _ = self.value(node)
        return (kind, SERIES) if kind in NUMBERS else self.fail(f"[] on {kind}")

    def value_of_unary(self, operator: str, node: tuple) -> Typed:
        kind, qualifier = self.value(node)
        if (kind != "bool") if operator == "not" else (kind not in NUMBERS):
            self.fail(f"{operator} on {kind}")
        return kind, qualifier

    def value_of_binary(self, operator: str, left: tuple, right: tuple) -> Typed:
        if operator == "%":
            return self.remainder(left, right)
        (a, of_a), (b, of_b) = self.value(left), self.value(right)
        qualifier = max(of_a, of_b)
        if operator in ("and", "or"):
            return ("bool", qualifier) if a == b == "bool" else self.fail(f"{a} {operator} {b}")
        if operator in ("==", "!="):
            alike = {a, b} <= NUMBERS or a == b == "string"
            return ("bool", qualifier) if alike else self.fail(f"{a} {operator} {b}")
        if operator == "+" and a == b == "string":
            return "string", qualifier
        if not {a, b} <= NUMBERS:
            self.fail(f"{a} {operator} {b}")
        if operator in ("<", "<=", ">", ">="):
            return "bool", qualifier
        if operator == "/" and a == b == "int":
            self.fail("a whole number over a whole number: versions of Pine differ")
        return ("int" if a == b == "int" else "float"), qualifier

    def remainder(self, left: tuple, right: tuple) -> Typed:
        """``(a % n + n) % n`` as a whole."""
        if right[0] != "name":
            self.fail("% only of a variable")
        inside = left[0] == "paren" and left[1]
        if not (inside and inside[0] == "binary" and inside[1] == "+" and inside[3] == right):
            self.fail("% only as (a % n + n) % n: it is negative for a negative number")
        first = inside[2]
        if not (first[0] == "binary" and first[1] == "%" and first[3] == right):
            self.fail("% only as (a % n + n) % n: it is negative for a negative number")
        (kind, _), (length, _) = self.value(first[2]), self.value(right)
        return ("int", SERIES) if kind == length == "int" else self.fail(f"{kind} % {length}")

    def value_of_ternary(self, condition: tuple, yes: tuple, no: tuple) -> Typed:
        (kind, first), (a, of_a), (b, of_b) = self.value(condition), self.value(yes), self.value(no)
        if kind != "bool":
            self.fail(f"? needs a bool, found {kind}")
        qualifier = max(first, of_a, of_b)
        if a == b and a not in ("na", "void"):
            return a, qualifier
        if {a, b} == NUMBERS:
            return "float", qualifier
        if "na" in (a, b) and not {a, b} & {"bool", "void"} and a != b:
            return (b if a == "na" else a), qualifier
        return self.fail(f"? gives {a} or {b}")

    # Calls

    def value_of_call(self, name: str, generic: str, given: list[tuple[str, tuple]]) -> Typed:
        if name == "na":
            kind = self.positional(name, given, 1)[0][0]
            return ("bool", SERIES) if kind not in ("bool", "void", "na") else self.fail(f"na({kind})")
        if name in ("math.min", "math.max"):
            parts = self.positional(name, given, 2)
            if not {kind for kind, _ in parts} <= NUMBERS:
                self.fail(f"{name} of {parts[0][0]} and {parts[1][0]}")
            return ("int" if all(kind == "int" for kind, _ in parts) else "float"), max(q for _, q in parts)
        if name == "array.new":
            return self.new_array(generic, given)
        if name == "array.from":
            parts = self.positional(name, given, None)
            kinds = {kind for kind, _ in parts}
            kind = "float" if kinds == NUMBERS else kinds.pop() if len(kinds) == 1 else self.fail(f"array.from {kinds}")
            return f"array<{self.known(kind)}>", max(q for _, q in parts)
        owner, _, method = name.rpartition(".")
        if method == "new" and owner in self.types:
            return self.new_object(owner, given)
        if name in self.functions:
            return self.call_own(name, given)
        if name not in FUNCTIONS:
            self.fail(f"{name}() is not declared above, and no builtin that is exported")
        return self.call_builtin(name, FUNCTIONS[name], given)

    def positional(self, name: str, given: list[tuple[str, tuple]], count: int | None) -> list[Typed]:
        if any(argument for argument, _ in given) or not given or (count is not None and len(given) != count):
            self.fail(f"{name} takes {count or 'some'} values without names")
        return [self.value(node) for _, node in given]

    def new_array(self, generic: str, given: list[tuple[str, tuple]]) -> Typed:
        self.known(generic)
        if given:
            (size, _), (start, _) = self.positional("array.new", given, 2)
            self.fits(size, "int", "the size of an array")
            self.fits(start, generic, "the start of an array")
        return f"array<{generic}>", CONST

    def new_object(self, owner: str, given: list[tuple[str, tuple]]) -> Typed:
        fields = self.types[owner]
        names = list(fields)
        if len(given) > len(names):
            self.fail(f"{owner}.new takes at most {len(names)} values")
        for (argument, node), place in zip(given, names, strict=False):
            if argument and argument not in fields:
                self.fail(f"{owner} has no field {argument}")
            self.fits(self.value(node)[0], fields[argument or place], f"{owner}.{argument or place}")
        return owner, SERIES

    def call_own(self, name: str, given: list[tuple[str, tuple]]) -> Typed:
        arguments, result = self.functions[name]
        if len(given) != len(arguments) or any(argument for argument, _ in given):
            self.fail(f"{name} takes {len(arguments)} values without names, found {len(given)}")
        for (argument, kind), (_, node) in zip(arguments, given, strict=True):
            self.fits(self.value(node)[0], kind, f"{name}: {argument}")
        return result, SERIES

    def call_builtin(self, name: str, signature: Signature, given: list[tuple[str, tuple]]) -> Typed:
        if name in GLOBAL_ONLY and (len(self.scopes) > 1 or self.in_function):
            self.fail(f"{name}() only in the global scope")
        if name.startswith("strategy.") and self.form != "strategy":
            self.fail(f"{name}() in an indicator")
        if name == "alertcondition" and self.form != "indicator":
            self.fail("alertcondition() in a strategy does nothing")
        arguments = {argument.name: argument for argument in signature.arguments}
        if len(given) > len(arguments):
            self.fail(f"{name} takes at most {len(arguments)} arguments, found {len(given)}")
        values: dict[str, tuple] = {}
        for place, (argument, node) in zip(arguments, given, strict=False):
            if argument and argument not in arguments:
                self.fail(f"{name} has no argument {argument}")
            if not argument and arguments[place].named:
                self.fail(f"{name}: {place} must be given by name")
            if (argument or place) in values:
                self.fail(f"{name}: argument {argument or place} is given twice")
            values[argument or place] = node
        typed: dict[str, Typed] = {}
        for key, argument in arguments.items():
            if key in values:
                typed[key] = self.argument(name, argument, values[key], typed)
            elif not argument.optional:
                self.fail(f"{name} needs an argument {key}")
        self.count(name, typed, values)
        kind = self.result(name, signature, typed, values)
        if signature.qualifier is not None:
            return kind, signature.qualifier
        return kind, max([qualifier for _, qualifier in typed.values()] + [SERIES if name.startswith("array.") else 0])

    def argument(self, name: str, argument: Argument, node: tuple, before: dict[str, Typed]) -> Typed:
        what = f"{name}: {argument.name}"
        if argument.kinds == {"options"}:
            if node[0] != "list" or any(item[:2] != ("literal", "string") for item in node[1]):
                self.fail(f"{what}: expected a list of texts")
            return "options", CONST
        kind, qualifier = self.value(node)
        if qualifier > argument.ceiling:
            self.fail(f"{what}: at most {QUALIFIERS[argument.ceiling]}, found {QUALIFIERS[qualifier]}")
        allowed = argument.kinds
        if allowed & {"A", "N"}:
            inside = self.element(kind)
            if "N" in allowed and inside not in NUMBERS:
                self.fail(f"{what}: an array of numbers, found {kind}")
        elif allowed == {"T"}:
            self.fits(kind, self.element(before["id"][0]), what)
        elif allowed != {"any"} and not (kind in allowed or (kind == "int" and "float" in allowed)):
            if kind != "na" or allowed & {"bool", "string"}:
                self.fail(f"{what}: found {kind}, expected {' or '.join(sorted(allowed))}")
        elif kind == "void":
            self.fail(f"{what}: found nothing")
        return kind, qualifier

    def count(self, name: str, typed: dict[str, Typed], values: dict[str, tuple]) -> None:
        if name in ("indicator", "strategy"):
            self.form = name
            self.boxes = int(values["max_boxes_count"][2]) if "max_boxes_count" in values else 50
            for key in ("max_boxes_count", "max_lines_count", "max_labels_count"):
                if key in values and not 1 <= int(values[key][2]) <= 500:
                    self.fail(f"{key} must be 1 to 500")
        if name in ("plot", "plotshape", "alertcondition"):
            self.plots += 1 + (typed.get("color", ("", CONST))[1] == SERIES)
        if name in ("plot", "plotshape", "box.new", "alert") or name.startswith("strategy."):
            self.outputs += 1
        if name.startswith("input.") and "minval" in values:
            low, start, high = (self.number(values[key]) for key in ("minval", "defval", "maxval"))
            if not low <= start <= high:
                self.fail(f"{name}: {start} is not from {low} to {high}")
        if name == "request.security" and values.get("lookahead", ("", ""))[1] == "barmerge.lookahead_on":
            asked = values["expression"]
            if asked[0] != "history" and not (asked[0] == "call" and asked[1].endswith("Before")):
                self.fail("lookahead_on without [1] knows the future")

    def number(self, node: tuple) -> float:
        if node[0] == "unary":
            return -self.number(node[2])
        return float(node[2])

    def result(self, name: str, signature: Signature, typed: dict[str, Typed], values: dict[str, tuple]) -> str:
        if name == "request.security":
            return typed["expression"][0]
        if signature.result == "A":
            return typed["id"][0]
        if signature.result == "T":
            return self.element(typed["id"][0])
        if name == "math.abs":
            return typed["number"][0]
        return signature.result


def check(source: str) -> Script:
    """Raise PineError for the first thing that is wrong; returns what was found."""
    return Checker(source).check()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(path, check(Path(path).read_text(encoding="utf-8")))
