"""Plain text and Markdown tables."""

from collections.abc import Collection, Sequence

from rich.cells import cell_len

Rows = Sequence[Sequence[str]]


def text_table(headers: Sequence[str], rows: Rows, right: frozenset[str] = frozenset()) -> str:
    """Columns padded to their widest cell, two spaces apart; those named in ``right`` are aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        parts = []
        for header, cell, width in zip(headers, cells, widths, strict=True):
            padding = " " * (width - cell_len(cell))
            parts.append(padding + cell if header in right else cell + padding)
        return "  ".join(parts).rstrip()

    return "\n".join([line(headers), line(["-" * width for width in widths]), *map(line, rows)])


def markdown_table(headers: Sequence[str], rows: Rows, right: frozenset[str] = frozenset()) -> str:
    """A Markdown table; bars in cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if header in right else "---" for header in headers) + "|"
    return "\n".join([line(headers), rule, *map(line, rows)])


def table_without(
    left_out: Collection[str], headers: Sequence[str], rows: Rows, right: frozenset[str], markdown: bool = False
) -> str:
    """A table without the columns of those headers."""
    keep = [index for index, header in enumerate(headers) if header not in left_out]
    kept = [[row[index] for index in keep] for row in rows]
    return (markdown_table if markdown else text_table)([headers[index] for index in keep], kept, right)


def empty_columns(headers: Sequence[str], rows: Rows, counts: Collection[str] = ()) -> set[str]:
    """The headers of columns that say nothing: empty or ``-`` throughout; those of ``counts`` also where all are 0."""
    nothing = {header: {"", "-", "0"} if header in counts else {"", "-"} for header in headers}
    columns = zip(*rows, strict=True) if rows else ((),) * len(headers)
    return {header for header, column in zip(headers, columns, strict=True) if nothing[header].issuperset(column)}
