"""Where in a template something is: Jinja2 knows lines only, and an operator wants the column too.

Its tokens are given their offset in the text in place of their line. It carries that number, not
knowing what it is, into every node and every error.
"""

from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import TokenStream


def normal(text: str) -> str:
    """The text as the lexer takes it: line feeds alone, none at the end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def place(text: str, offset: int) -> str:
    """`line 2, column 7`."""
    before = text[:offset]
    line = before.count("\n") + 1
    column = offset - (before.rfind("\n") + 1) + 1
    return f"line {line}, column {column}"


class ByOffset(Extension):
    """Numbers tokens by their offset. For templates of one environment, one after another."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._text = ""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - Jinja2's
        """Remember the text; the stream does not tell it."""
        self._text = source
        return source

    def filter_stream(self, stream: TokenStream) -> TokenStream:
        """The same tokens, numbered otherwise."""
        lexer = self.environment.lexer
        return TokenStream(lexer.wrap(self._tokens(), stream.name), stream.name, None)

    def _tokens(self) -> Iterator[tuple[int, str, str]]:
        text, offset = self._text, 0
        try:
            for _, kind, value in self.environment.lexer.tokeniter(text, None):
                offset = text.index(value, offset)  # white space before it may have been dropped
                yield offset, kind, value
                offset += len(value)
        except TemplateSyntaxError as error:
            raise TemplateSyntaxError(error.message or "", offset) from None
