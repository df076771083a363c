#!/usr/bin/env python3
"""Makes a C file that holds another file's bytes: embed.py INPUT OUTPUT.c SYMBOL

The C file defines `const char SYMBOL[]`, closed by a NUL that is not counted, and
`const size_t SYMBOL_size`. JSON is checked and written without its white space.
"""
import json
import pathlib
import sys

BYTES_PER_LINE = 20


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 64
    source, target, symbol = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    data = source.read_bytes()
    if source.suffix == ".json":
        data = json.dumps(json.loads(data), separators=(",", ":"), ensure_ascii=True).encode()
    if any(byte > 126 for byte in data):
        sys.exit(f"{source}: only ASCII can be embedded")
    lines = [
        ", ".join(str(byte) for byte in data[at : at + BYTES_PER_LINE]) + ","
        for at in range(0, len(data), BYTES_PER_LINE)
    ]
    target.write_text(
        f"/* Made from {source.name} by tools/embed.py. */\n"
        "#include <stddef.h>\n\n"
        f"extern const char {symbol}[];\nextern const size_t {symbol}_size;\n"
        f"const char {symbol}[] = {{\n" + "\n".join(lines) + "\n0};\n"
        f"const size_t {symbol}_size = {len(data)};\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
