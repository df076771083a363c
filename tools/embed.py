#!/usr/bin/env python3
"""Makes a C file that holds other files' bytes.

embed.py INPUT OUTPUT.c SYMBOL
    `const char SYMBOL[]`, closed by a NUL that is not counted, and `const size_t SYMBOL_size`.
    JSON is checked and written without its white space.
embed.py --scripts OUTPUT.c PREFIX INPUT.lua...
    `const struct redis_script PREFIX_STEM` (strategies/links/redis.h) of each, named by its stem.
"""
import json
import pathlib
import sys

BYTES_PER_LINE = 20


def read(source: pathlib.Path) -> bytes:
    data = source.read_bytes()
    if source.suffix == ".json":
        data = json.dumps(json.loads(data), separators=(",", ":"), ensure_ascii=True).encode()
    if any(byte > 126 for byte in data):
        sys.exit(f"{source}: only ASCII can be embedded")
    return data


def array(declaration: str, data: bytes) -> str:
    lines = [
        ", ".join(str(byte) for byte in data[at : at + BYTES_PER_LINE]) + ","
        for at in range(0, len(data), BYTES_PER_LINE)
    ]
    return f"{declaration} = {{\n" + "\n".join(lines) + "\n0};\n"


def embed_bytes(source: pathlib.Path, target: pathlib.Path, symbol: str) -> None:
    data = read(source)
    target.write_text(
        f"/* Made from {source.name} by tools/embed.py. */\n"
        "#include <stddef.h>\n\n"
        f"extern const char {symbol}[];\nextern const size_t {symbol}_size;\n"
        + array(f"const char {symbol}[]", data)
        + f"const size_t {symbol}_size = {len(data)};\n"
    )


def embed_scripts(sources: list[pathlib.Path], target: pathlib.Path, prefix: str) -> None:
    text = (
        f"/* Made from {', '.join(source.name for source in sources)} by tools/embed.py. */\n"
        '#include "redis.h"\n'
    )
    for source in sources:
        symbol = f"{prefix}_{source.stem}"
        text += "\n" + array(f"static const char {symbol}_text[]", read(source))
        text += (
            f"extern const struct redis_script {symbol};\n"
            f"const struct redis_script {symbol} = "
            f'{{.name = "{source.stem}", .text = {symbol}_text}};\n'
        )
    target.write_text(text)


def main() -> int:
    arguments = sys.argv[1:]
    if len(arguments) >= 4 and arguments[0] == "--scripts":
        sources = [pathlib.Path(name) for name in arguments[3:]]
        embed_scripts(sources, pathlib.Path(arguments[1]), arguments[2])
    elif len(arguments) == 3 and not arguments[0].startswith("-"):
        embed_bytes(pathlib.Path(arguments[0]), pathlib.Path(arguments[1]), arguments[2])
    else:
        print(__doc__, file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main())
