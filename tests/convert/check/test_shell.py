"""What a shell would read: words, variables, calls. bash itself is the oracle of the words."""

import re
import subprocess

import pytest

from convert.atc.line import as_written, unseen
from convert.check.shell import MAX_VALUE, atc_calls
from detector.errors import SpecError


def words(text):
    return [[as_written(word) for word in call.words] for call in atc_calls(text)]


SPLIT = {
    "blanks": "atc  --a=1\t--b 2",
    "quotes": "atc --a='x y' --b=\"p;q\" --c=r's 't",
    "escapes": 'atc --a=x\\ y --b="\\"q\\" \\z" --c=\\#1',
    "lines": "atc --a=1 \\\n  --b=2 \\\n--c=3",
    "comments": "# atc --x\natc --a=1 # --b=2\n",
    "no comment": "atc --a=1#2",
    "redirections": "atc --a=1 > log 2>&1 --b=2 >>log 2>/dev/null < /dev/null &> log",
    "environment": "A=1 B='2 3' atc --a=1",
    "path": "/usr/local/Ascend/bin/atc --a=1",
    "branches": "if ! atc --a=1; then atc --b=2; fi",
    "in line": "true && atc --a=1 || atc --b=2",
    "loop": "for bs in 1 2; do\n  atc --a=1\ndone",
    "background": "atc --a=1 &\nwait",
    "list without quotes": "atc --a=x:0;y:1 --b=2",
    "document": "cat <<END >/dev/null\natc --no don't\nEND\natc --a=1",
    "document with tabs": "cat <<-'END' >/dev/null\n\tatc --no\n\tEND\natc --a=1",
    "string": "cat <<<x >/dev/null; atc --a=1",
    "variables": 'm=yolo\no="${m}_bs1"\natc --model=$m.onnx --output=$o',
    "set twice": "m=a\natc --a=$m\nm=b\natc --a=$m",
    "exported": "export m=a\natc --a=$m",
    "shell in a shell": "bash -c 'cd . && atc --a=1 --b=2'",
    "function": "build() { atc --a=1; }\nbuild",
    "program in a variable": 'ATC=atc\n"$ATC" --a=1 ; ${ATC_BIN:-atc} --b=1',
}


@pytest.mark.parametrize("text", SPLIT.values(), ids=SPLIT.keys())
def test_words_are_those_that_bash_gives_to_atc(text, tmp_path):
    atc = tmp_path / "atc"
    atc.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word" >>"$SAID"; done\nprintf "\\n" >>"$SAID"\nexit 1\n')
    atc.chmod(0o755)
    text = text.replace("/usr/local/Ascend/bin", str(tmp_path)).replace("; done", "; break; done")
    said = tmp_path / "said"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SAID": str(said)}
    subprocess.run(["bash", "-c", text], env=environment, check=False, capture_output=True, cwd=tmp_path)
    given = [block.split("\n") for block in said.read_text().removesuffix("\n\n").split("\n\n")]
    assert [list(call) for call in dict.fromkeys(map(tuple, words(text)))] == [
        list(call) for call in dict.fromkeys(map(tuple, given))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "which atc; command -v atc",
        "echo atc --a=1",
        "echo 'atc --a=1'",
        "atc_configs --a=1",
        "cat <<END\natc --a=1\nEND",
        "cat <<END\natc --a=1",
        "",
    ],
)
def test_what_is_no_call_is_none(text):
    assert atc_calls(text) == []


def test_calls_have_their_lines_and_what_they_were_read_with():
    first, second = atc_calls("m=yolo\natc --model=$m \\\n  --a=1\n\nnohup atc --b=2 &")
    assert (first.line, first.known) == (2, {"m": "yolo"})
    assert (second.line, second.known) == (5, {})


UNKNOWN = {
    "argument": ("atc --a=$1", "$1"),
    "braces": ("atc --a=x${bs}y", "${bs}"),
    "default": ("atc --a=${bs:-8}", "${bs:-8}"),
    "command": ('atc --a="$(ls "a b")"', '$(ls "a b")'),
    "old command": ("atc --a=`ls`", "`ls`"),
    "through another": ("m=$1\natc --a=$m.onnx", "$1"),
    "loop": ("bs=1\nfor bs in 1 2; do atc --a=$bs; done", "$bs"),
    "branch": ("bs=1\nif x; then bs=2; fi\natc --a=$bs", "$bs"),
    "after a test": ("bs=1\n[ -n x ] && bs=2\natc --a=$bs", "$bs"),
    "function": ("f() { bs=2; }\natc --a=$bs", "$bs"),
    "nested": ("atc --a=$(x $(y) '(' \")\" (z))", "$(x $(y) '(' \")\" (z))"),
    "case": ("bs=1\ncase x in\na) bs=2 ;;\nesac\natc --a=$bs", "$bs"),
    "case after a sub-shell": ("bs=1\ncase x in\na) (true) ;;\nb) bs=2 ;;\nesac\natc --a=$bs", "$bs"),
    "read in a loop": ("bs=1\nwhile read bs; do atc --a=$bs; done", "$bs"),
    "unset": ("bs=1\nunset bs\natc --a=$bs", "$bs"),
    "read": ("bs=1\nread -r bs\natc --a=$bs", "$bs"),
    "appended": ("bs=1\nbs+=2\natc --a=$bs", "$bs"),
    "array": ("bs=(1 2)\natc --a=$bs", "$bs"),
    "for one command": ("bs=1 true\natc --a=$bs", "$bs"),
    "in a command kept": ('cmd="atc --a=$1"\n$cmd', "$1"),
    "quoted in a command kept": ('cmd="atc --a=\'$(ls "x")\'"', '$(ls "x")'),
}


@pytest.mark.parametrize(("text", "hidden"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_only_a_shell_knows_is_marked(text, hidden):
    (call,) = atc_calls(text)
    assert unseen("".join(call.words)) == [hidden]


def test_a_dollar_in_single_quotes_is_one():
    (call,) = atc_calls("atc --a='$1'")
    assert call.words == ("--a=$1",)


def test_a_list_without_quotes_is_noticed():
    assert [call.cut for call in atc_calls("atc --out_nodes=a:0;b:0\natc --x=1; true")] == [True, False]


@pytest.mark.parametrize("opening", ['"', "'", "$(", "${", "`", '"$('])
def test_what_is_never_closed_is_told_with_its_line(opening):
    said = re.escape(opening[-2:])
    with pytest.raises(SpecError, match=rf"^line 2: {said} is never closed; a shell would not run it: close it"):
        atc_calls(f"true\natc --a={opening}x")


def test_variables_that_double_do_not_fill_the_memory():
    (call,) = atc_calls("x=aaaaaaaa\n" + "x=$x$x\n" * 200 + "atc --a=$x")
    assert len(call.words[0]) <= 2 * MAX_VALUE
