"""The style check finds what it is there for: each rule is shown a violation and a clean twin."""

import pathlib
import subprocess
import sys

import pytest

CHECK = pathlib.Path(__file__).resolve().parent / "style_check.py"
CLANG_FORMAT = "BasedOnStyle: LLVM\nIndentWidth: 4\nColumnLimit: 100\n"
HEADER = "/* A header. */\n"
SOURCE = "/* A source. */\n"

# A small tree with nothing wrong.
CLEAN = {
    ".clang-format": CLANG_FORMAT,
    "meson.build": "# Build.\nfiles('strategies/embedded/embedded.c', 'strategies/links/sqlite.c')\n"
                   "run = find_program('helper.py')\n",
    "src/meson.build": "# Core.\nfiles('main.c', 'server/server.c', 'http/http.c')\n",
    "tests/meson.build": "# Tests.\ntests = ['number']\n",
    "include/resvd/strategy.h": HEADER,
    "src/main.c": SOURCE + '#include "server/server.h"\n',
    "src/server/server.h": HEADER,
    "src/server/server.c": SOURCE + '#include <uv.h>\n\n#include "http/http.h"\n',
    "src/http/http.h": HEADER,
    "src/http/http.c": SOURCE + '#include "text.h"\n',
    "src/text.h": HEADER,
    "strategies/embedded/embedded.c": SOURCE + '#include "resvd/strategy.h"\n#include "sqlite.h"\n',
    "strategies/links/sqlite.h": HEADER + "#include <stdint.h>\n",
    "strategies/links/sqlite.c": SOURCE + "#include <sqlite3.h>\n#include <uv.h>\n",
    "tests/test_number.c": SOURCE,
    "tools/helper.py": '"""A helper."""\n',
    "README.md": "# Readme\n",
}

LONG_FUNCTION = SOURCE + "int f(void)\n{\n" + "    f();\n" * 70 + "}\n"
LONG_PYTHON = '"""Long."""\n\n\ndef f():\n' + "    f()\n" * 71
HOST = "https://" + "pypi" + ".org/simple"

# Rule (a part of its title), file, its text in place of the clean one.
VIOLATIONS = [
    ("includes go down", "src/http/http.c", SOURCE + '#include "server/server.h"\n'),
    ("includes go down", "src/text.h", HEADER + '#include "http/http.h"\n'),
    ("third-party headers", "src/text.h", HEADER + "#include <sqlite3.h>\n"),
    ("third-party headers", "src/text.h", HEADER + "#include <mysql/mysql.h>\n"),
    ("third-party headers", "src/text.h", HEADER + "#include <hiredis/async.h>\n"),
    ("third-party headers", "src/text.h", HEADER + "#include <librdkafka/rdkafka.h>\n"),
    ("third-party headers", "include/resvd/strategy.h", HEADER + "#include <uv.h>\n"),
    ("third-party headers", "strategies/embedded/embedded.c", SOURCE + "#include <uv.h>\n"),
    ("a strategy includes", "strategies/embedded/embedded.c", SOURCE + '#include "text.h"\n'),
    ("a strategy includes", "include/resvd/strategy.h", HEADER + '#include "text.h"\n'),
    ("headers of the links", "strategies/links/sqlite.h", HEADER + "#include <sqlite3.h>\n"),
    ("at most 70 lines", "src/http/http.c", LONG_FUNCTION),
    ("at most 70 lines", "tools/helper.py", LONG_PYTHON),
    ("at most 800 lines", "src/http/http.c", SOURCE + "int a;\n" * 800),
    ("every source, header", "src/dead.c", SOURCE),
    ("every source, header", "src/http/server.c", SOURCE),
    ("every source, header", "tests/test_dead.c", SOURCE),
    ("every source, header", "src/dead.h", HEADER),
    ("every source, header", "tools/dead.py", '"""Dead."""\n'),
    ("every source, header", "tools/dead.sh", "# Dead.\n"),
    ("the first line", "src/http/http.c", "int a;\n"),
    ("the first line", "tools/helper.py", "import sys\n"),
    ("the first line", "tools/helper", "#!/bin/sh\nexit\n"),
    ("trailing blanks", "README.md", "# Readme \n"),
    ("trailing blanks", "README.md", "# Readme"),
    ("trailing blanks", "src/text.h", HEADER + "int\ta;\n"),
    ("unfinished work", "README.md", "# Readme\n" + "TO" + "DO: all\n"),
    ("unfinished work", "src/text.h", HEADER + "/* FIX" + "ME */\n"),
    ("package registry", "README.md", "# Readme\n\n" + HOST + "\n"),
    ("clang-format", "src/text.h", HEADER + "int  a;\n"),
]


def run_check(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    command = [sys.executable, CHECK, folder]
    ours = CHECK.parent.parent / ".cache" / "venv" / "bin" / "clang-format"
    if ours.exists():
        command[2:2] = ["--clang-format", ours]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return run.returncode, run.stdout.splitlines()


def test_clean_tree_passes(tmp_path):
    status, lines = run_check(tmp_path, CLEAN)
    assert [line for line in lines if line.startswith(("not ok", "#"))] == []
    assert status == 0


@pytest.mark.parametrize("title, path, text", VIOLATIONS)
def test_violation_is_found(tmp_path, title, path, text):
    status, lines = run_check(tmp_path, CLEAN | {path: text})
    assert status == 1
    failed = [line for line in lines if line.startswith("not ok")]
    assert any(title in line for line in failed), lines
    assert any(line.startswith(f"# {path}:") for line in lines)


def test_other_strategy_is_found(tmp_path):
    other = {
        "meson.build": CLEAN["meson.build"] + "files('strategies/naive/naive.c')\n",
        "strategies/naive/naive.h": HEADER,
        "strategies/naive/naive.c": SOURCE + '#include "naive/naive.h"\n',
    }
    status, _ = run_check(tmp_path / "a", CLEAN | other)
    assert status == 0
    other["strategies/embedded/embedded.c"] = SOURCE + '#include "naive/naive.h"\n'
    status, lines = run_check(tmp_path / "b", CLEAN | other)
    assert status == 1
    assert any("another strategy" in line for line in lines)
