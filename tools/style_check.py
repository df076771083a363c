#!/usr/bin/env python3
"""The house style as a test: prints one TAP line a rule, and every violation under its rule.

    tools/style_check.py [--clang-format PROGRAM] [FOLDER]

Rules: who may include what, length of functions and files, files that nothing uses, formatting,
first lines, trailing blanks, unfinished work, names of package registries' hosts. Its own test is
tools/test_style_check.py.
"""

import argparse
import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_WARNING = 500
FILE_LINES_MAX = 800

# Layers of src/, from below. A file may include its own folder and what is below it. What is not
# named here (text, uuid, log, json, config, metrics, …) serves all of src/ and stands on no layer.
LAYERS = ["host", "op", "routes", "http", "server", "main"]

# Third-party headers and the only folders (besides tests/ and bench/) that may include them.
THIRD_PARTY = {
    "libuv": (re.compile(r"^uv(\.h|/)"), ("src/", "strategies/links/")),
    "SQLite": (re.compile(r"^sqlite3"), ("strategies/links/",)),
    "MariaDB or MySQL": (re.compile(r"^(mysql|mariadb|errmsg\.h|mysqld_error)"),
                         ("strategies/links/",)),
    "hiredis": (re.compile(r"^hiredis"), ("strategies/links/",)),
    "librdkafka": (re.compile(r"^(librdkafka/|rdkafka)"), ("strategies/links/",)),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
REGISTRY_HOST = re.compile(
    r"\b(pypi|pythonhosted|npmjs|yarnpkg|rubygems|maven|sonatype|apache\.org/maven"
    r"|golang|crates|docker|debian|ubuntu|quay|ghcr)\.(org|com|io|net)\b")


class Tree:
    """The files under test, by path relative to the top."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.texts = {}
        for path in self.list_files():
            try:
                self.texts[path] = (self.top / path).read_text()
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # binary (a fuzz corpus), or deleted and not yet committed

    def list_files(self):
        listing = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=self.top,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        if listing.returncode == 0 and listing.stdout:
            return sorted(set(listing.stdout.splitlines()))
        # No git (an unpacked archive): everything but what .gitignore names.
        ignored = re.compile(r"^(build|\.|var/|resvd$)|__pycache__|\.db")
        paths = (str(path.relative_to(self.top)) for path in self.top.rglob("*") if path.is_file())
        return sorted(path for path in paths if not ignored.search(path))

    def select(self, *suffixes):
        return {path: text for path, text in self.texts.items()
                if path.endswith(suffixes) and not path.startswith("tests/fuzz/corpus/")}


def lines_of(text):
    return enumerate(text.split("\n"), 1)


def includes_of(text):
    for number, line in lines_of(text):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def layer_of(path):
    """Position in LAYERS of a path below src/ (or include/ and so on), or None."""
    parts = path.removeprefix("src/").split("/")
    name = parts[0] if len(parts) > 1 else parts[0].rsplit(".", 1)[0]
    return LAYERS.index(name) if name in LAYERS else None


# --- rules: each yields "path:line: what is wrong" ------------------------------------------------


def rule_include_direction(tree):
    """in src/, includes go down: main, server, http, routes, op, host, then the rest"""
    for path, text in tree.select(".c", ".h").items():
        if not path.startswith("src/"):
            continue
        own = layer_of(path)
        for number, kind, name in includes_of(text):
            if kind != '"' or "src/" + name not in tree.texts:
                continue
            other = layer_of(name)
            if other is not None and (own is None or other > own):
                yield f"{path}:{number}: includes {name}, which is above it"


def rule_third_party_includes(tree):
    """third-party headers are included only where they may be"""
    for path, text in tree.select(".c", ".h").items():
        if path.startswith(("tests/", "bench/")):
            continue
        for number, _, name in includes_of(text):
            for library, (pattern, folders) in THIRD_PARTY.items():
                if pattern.match(name) and not path.startswith(folders):
                    yield f"{path}:{number}: {library} is not for this folder"


def rule_strategy_includes(tree):
    """a strategy includes the seam, the links, common/ and itself; links no strategy; no src/"""
    for path, text in tree.select(".c", ".h").items():
        parts = path.split("/")
        if parts[0] not in ("strategies", "include"):
            continue
        for number, kind, name in includes_of(text):
            where = f"{path}:{number}: includes {name}"
            if kind == "<":
                continue
            if "src/" + name in tree.texts and not name.startswith("resvd/"):
                beside = "/".join(parts[:-1] + [name])
                if beside not in tree.texts:
                    yield f"{where}, which is core's"
            if parts[0] == "include" and not name.startswith("resvd/"):
                yield f"{where}, which is outside the seam"
            target = name.removeprefix("../").removeprefix("strategies/").split("/")
            strategies = {p.split("/")[1] for p in tree.texts if p.startswith("strategies/")
                          and p.count("/") > 1} - {"links"}
            shared = target[0] == "common" and parts[1] != "links"
            if (len(target) > 1 and target[0] in strategies and target[0] != parts[1]
                    and not shared):
                yield f"{where}, which is another strategy's"


def rule_link_headers(tree):
    """the headers of the links have no third-party type: they include only C's and the seam's"""
    standard = {"stdbool.h", "stddef.h", "stdint.h", "stdarg.h", "limits.h", "inttypes.h"}
    for path, text in tree.select(".h").items():
        if not path.startswith("strategies/links/") or path.endswith("_internal.h"):
            continue
        for number, kind, name in includes_of(text):
            if kind == "<" and name not in standard:
                yield f"{path}:{number}: includes <{name}>"


def rule_function_length(tree):
    """a function has at most 70 lines"""
    for path, text in tree.select(".c", ".h").items():
        start = None
        for number, line in lines_of(text):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield f"{path}:{start}: {number - start + 1} lines in one function"
                start = None
    for path, text in tree.select(".py").items():
        if path.startswith("tests/"):
            continue  # tables of cases are long
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    yield f"{path}:{node.lineno}: {length} lines in one function"


def rule_file_length(tree):
    """a file has at most 800 lines"""
    for path, text in tree.select(".c", ".h", ".py", ".sh").items():
        length = text.count("\n")
        if length > FILE_LINES_MAX:
            yield f"{path}:1: {length} lines in one file"
        elif length > FILE_LINES_WARNING:
            print(f"# warning: {path}: {length} lines, over {FILE_LINES_WARNING}")


def rule_dead_files(tree):
    """every source, header and script is named by a build file, another script or an include"""
    headers = set()
    for path, text in tree.select(".c", ".h").items():
        headers |= {pathlib.PurePath(name).name for _, _, name in includes_of(text)}
    builds = {path: text for path, text in tree.texts.items() if path.endswith("meson.build")}
    scripts = {path: text for path, text in tree.texts.items()
               if path.endswith((".py", ".sh", "meson.build")) or is_script(text)}
    for path in tree.texts:
        name = pathlib.PurePath(path).name
        if path.endswith(".c"):
            if not (any(build_names(build, text, path) for build, text in builds.items())
                    or any(names_word(text, name) for test, text in scripts.items()
                           if test.startswith("tests/") and test.endswith(".py"))):
                yield f"{path}:1: no meson.build and no script names it"
        elif path.endswith(".h") and name not in headers:
            yield f"{path}:1: nothing includes it"
        elif path.endswith((".py", ".sh")) and name != "conftest.py":
            if not script_is_used(path, scripts):
                yield f"{path}:1: nothing calls it"


def build_names(build, text, path):
    """True when a meson.build names the source, by its path from there or as a test's subject."""
    folder = pathlib.PurePath(build).parent
    relative = os.path.relpath(path, folder)
    subject = re.sub(r"^(test_|fuzz_)|\.c$", "", relative)
    return f"'{relative}'" in text or (path.startswith("tests/") and f"'{subject}'" in text)


def is_script(text):
    return text.startswith("#!")


def names_word(text, word):
    return re.search(r"(?<![\w-])" + re.escape(word) + r"(?![\w-])", text) is not None


def script_is_used(path, scripts):
    name = pathlib.PurePath(path).name
    module = name.removesuffix(".py")
    imported = re.compile(rf"^\s*(from|import)\s+[\w., ]*\b{re.escape(module)}\b", re.MULTILINE)
    for other, text in scripts.items():
        if other == path:
            continue
        if names_word(text, name) or (path.endswith(".py") and imported.search(text)):
            return True
        if other.endswith("meson.build") and path.startswith("tests/"):
            if names_word(text, f"'{module.removeprefix('test_')}'"):
                return True
    return False


def rule_first_line(tree):
    """the first line (the second after #!) says what the file is about"""
    opening = {".c": ("/*",), ".h": ("/*",), ".py": ('"""', "#"), ".sh": ("#",),
               "meson.build": ("#",), ".md": ("# ", "<!--")}
    for path, text in tree.texts.items():
        if path.startswith("tests/fuzz/corpus/"):
            continue
        expected = next((start for suffix, start in opening.items() if path.endswith(suffix)), None)
        lines = text.split("\n")
        if is_script(text):
            expected = ("#", '"""', "/*")
            lines = lines[1:]
        first = lines[0] if lines else ""
        if expected and not (first.startswith(expected) and re.search(r"\w{2}", first)):
            yield f"{path}:1: does not say what it is about"


def rule_blanks(tree):
    """no trailing blanks, no tabs in C and Python, a newline at the end"""
    for path, text in tree.texts.items():
        if path.startswith("tests/fuzz/corpus/") or path == "LICENSE":
            continue
        for number, line in lines_of(text):
            if line != line.rstrip():
                yield f"{path}:{number}: trailing blank"
            if path.endswith((".c", ".h", ".py")) and "\t" in line:
                yield f"{path}:{number}: tab"
        if text and not text.endswith("\n"):
            yield f"{path}:{text.count(chr(10)) + 1}: no newline at the end"


def rule_unfinished(tree):
    """no notes of unfinished work"""
    for path, text in tree.texts.items():
        for number, line in lines_of(text):
            if UNFINISHED.search(line):
                yield f"{path}:{number}: {line.strip()}"


def rule_registry_hosts(tree):
    """no host of a package registry is written down: the usual clients know theirs"""
    for path, text in tree.texts.items():
        for number, line in lines_of(text):
            if REGISTRY_HOST.search(line):
                yield f"{path}:{number}: {line.strip()}"


def rule_formatting(tree, program):
    """clang-format has nothing to change"""
    paths = sorted(tree.select(".c", ".h"))
    if not paths:
        return
    run = subprocess.run([program, "--dry-run", "-Werror", *paths],
                         cwd=tree.top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False)
    places = {}
    for line in run.stdout.splitlines():
        if "error:" in line:
            path, number = line.split(":")[:2]
            places.setdefault(path, []).append(number)
    for path, numbers in places.items():
        yield f"{path}:{numbers[0]}: not formatted (./dev format), {len(numbers)} places"
    if run.returncode != 0 and not places:
        yield run.stdout.strip()


RULES = [rule_include_direction, rule_third_party_includes, rule_strategy_includes,
         rule_link_headers, rule_function_length, rule_file_length, rule_dead_files,
         rule_first_line, rule_blanks, rule_unfinished, rule_registry_hosts]


def report(number, rule, violations):
    title = " ".join(rule.__doc__.split())
    print(f"{'not ok' if violations else 'ok'} {number} - {title}")
    for violation in violations:
        print(f"# {violation}")


def find_clang_format(top, given):
    ours = pathlib.Path(top) / ".cache" / "venv" / "bin" / "clang-format"
    return given or (str(ours) if ours.exists() else shutil.which("clang-format"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clang-format", help="default: the one of .cache/venv, else the system's")
    parser.add_argument("folder", nargs="?", default=pathlib.Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    tree = Tree(arguments.folder)
    failed = 0
    for number, rule in enumerate(RULES, 1):
        violations = list(rule(tree))
        failed += bool(violations)
        report(number, rule, violations)
    program = find_clang_format(arguments.folder, arguments.clang_format)
    number = len(RULES) + 1
    if program:
        violations = list(rule_formatting(tree, program))
        failed += bool(violations)
        report(number, rule_formatting, violations)
    else:
        print(f"ok {number} # SKIP formatting: there is no clang-format")
    print(f"1..{number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
