"""What README and docs tell their readers to type, open and query."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from resources.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
GENERATED = [PROJECT_ROOT / "docs" / name for name in ("config.md", "data_dictionary.md")]
PROGRAM = "sound-approach"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ENDINGS = (".yaml", ".sql", ".py", ".md", ".csv", ".json", ".jsonl", ".duckdb", ".html", ".toml")


@dataclass(frozen=True)
class Said:
    """Something that a page says, and where."""

    page: Path
    text: str

    def __str__(self):
        return f"{self.page.name}: {self.text.strip()[:70]!r}"


def blocks(language):
    """The code blocks of one language, in order."""
    return [
        Said(page, body)
        for page in PAGES
        for found, body in _FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def queries():
    return [
        Said(block.page, query)
        for block in blocks("sql")
        for query in block.text.split(";")
        if re.sub(r"--.*", "", query).strip()
    ]


def shell_commands():
    """Every command of every `sh` block: words, comments and assignments taken away."""
    return [
        Said(block.page, command)
        for block in (*blocks("sh"), *blocks("bash"), *blocks("shell"))
        for line in block.text.replace("\\\n", " ").splitlines()
        for command in re.split(r"\s&&\s|\s\|\s|;\s", re.sub(r"(^|\s)#.*", "", line))
        if command.strip()
    ]


def words(command):
    """A command's words, the program's folder and leading assignments taken away."""
    found = shlex.split(command, comments=True)
    while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
        found = found[1:]
    return [found[0].rsplit("/", 1)[-1], *found[1:]] if found else []


def inline():
    """Every piece of inline code outside code blocks; generated pages have their own test."""
    return [
        Said(page, text)
        for page in PAGES
        if page not in GENERATED
        for text in _INLINE.findall(_prose(page))
    ]


def links():
    return [Said(page, target) for page in PAGES for target in _LINK.findall(_prose(page))]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", _prose(page), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()) for title in titles]
    return {title.strip().replace(" ", "-") for title in plain}


def is_command(text):
    return words(text)[:1] in ([PROGRAM], ["make"]) and " " in text.strip()


def is_path(text):
    """Whether inline code names a file or folder of the project or of its outputs."""
    if re.search(r"[\s{}$=~()*,]|^-|://|^/", text):
        return False
    first = text.split("/")[0]
    of_project = (PROJECT_ROOT / first).exists() or first == "outputs"
    return ("/" in text and of_project) or (
        re.search(r"\w\.\w+$", text) and text.endswith(_ENDINGS)
    )


def _prose(page):
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
