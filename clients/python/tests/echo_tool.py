"""A tool for the tests: copies an input, with a metric."""

import time

from selvedge.tool import ToolError, tool


@tool(
    name="echo",
    makes="text",
    parameters={
        "type": "object",
        "properties": {
            "times": {"type": "integer", "minimum": 1, "maximum": 100, "default": 1},
            "pause_s": {"type": "number", "minimum": 0},
            "fail": {"type": "string", "enum": ["user", "bug", "exit"]},
        },
        "additionalProperties": False,
    },
    inputs={"text": "any file"},
    example={"parameters": {"times": 2}, "inputs": {"text": {"file": "hello.txt", "text": "hello\n"}}},
)
def create(ctx):
    """Repeats a text."""
    times, fail = ctx.parameters["times"], ctx.parameters.get("fail")
    text = "".join(path.read_text() for path in sorted(ctx.inputs["text"].iterdir()))
    for step in range(1, 6):
        ctx.metric("train/loss", step, 1 / step)
    ctx.progress(0.5, "half of it")
    print("printed by the author")
    time.sleep(ctx.parameters.get("pause_s", 0))
    if fail == "user":
        raise ToolError("DATASET_FORMAT", "no good", hint="use another")
    if fail == "bug":
        raise TypeError("x is not callable")
    if fail == "exit":
        raise SystemExit(3)
    (ctx.data_dir / "sub").mkdir()
    (ctx.data_dir / "text.txt").write_text(text * times)
    (ctx.data_dir / "sub" / "count.json").write_text(f'{{"times": {times}}}')
    ctx.log(f"{times} times")


if __name__ == "__main__":
    create.main()
