"""Typed names and errors' texts as they are shown: escaped for Markdown and Plotly, cut, capitalized."""

from __future__ import annotations

import re

from reporting.text.phrases import capitalized

WORD_JOINER = "\u2060"  # invisible, of no width


def plain(text: str) -> str:
    """A typed name escaped for Markdown, so that it never formats or breaks the page. A web address stays a link."""
    line = re.sub(r"\s+", " ", str(text)).strip()
    line = re.sub(
        r"[<>~-](?=[-=>])", lambda m: m[0] + WORD_JOINER, line
    )  # or Streamlit draws -> as an arrow and -- as a dash
    line = re.sub(r"([\\`*_\[\]#|<>~$:@])", r"\\\1", line)
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", line)  # the start of a list or a heading's underline


def shortened(text: str, length: int = 18) -> str:
    """A typed name cut to at most `length` characters; not escaped yet."""
    return text if len(text) <= length else text[: length - 1] + "…"


def drawn(text: str, length: int | None = None) -> str:
    """A typed name escaped for a Plotly figure, cut to `length` characters first: Plotly interprets tags and entities
    in every text."""
    line = str(text) if length is None else shortened(str(text), length)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(text: str) -> str:
    """An error's text escaped for Markdown: capitalized, `commands` as code, everything else literal.

    A first word that may be a name is not capitalized: one with more than letters in it (notzip.zip, tpr_ratio) or with a
    colon after it. Names with blanks come in quotes (core.datasets.folder_layout.at_head).
    """
    parts = text.split("`")
    shown = "".join(
        f"`{part}`" if i % 2 and i < len(parts) - 1 else _spaced(part) for i, part in enumerate(parts)
    ).strip()
    return capitalized(shown) if re.match(r"[A-Za-z]+(,? |$)", text.lstrip()) else shown


def sentence(text: str) -> str:
    """An error's text escaped for Markdown as a sentence: `message` with a period at the end if it lacks one."""
    shown = message(text)
    return shown if shown.endswith((".", "?", "!", ":")) or not shown else f"{shown}."


def _spaced(part: str) -> str:
    """A piece of a sentence, escaped, with one blank at each end that had any."""
    text = plain(part)
    return f"{' ' * part[:1].isspace()}{text}{' ' * part[-1:].isspace()}" if text else " " * bool(part)
