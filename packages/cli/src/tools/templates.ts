/** Files of a new tool, by name: a working one that counts words, with its test. */
export const TEMPLATES: Readonly<Record<'py', Readonly<Record<string, string>>>> = {
  py: {
    'tool.py': `from selvedge.tool import tool

PARAMETERS = {
    "type": "object",
    "properties": {"least": {"type": "integer", "minimum": 1, "default": 1}},
    "additionalProperties": False,
}
EXAMPLE = {"parameters": {"least": 2}, "inputs": {"text": {"file": "text.txt", "text": "to be or not to be\\n"}}}


@tool(name="NAME", makes="word-counts", parameters=PARAMETERS, inputs={"text": "text files"}, example=EXAMPLE)
def create(ctx):
    """Counts words, and leaves out those that are seldom."""
    words = [word for path in sorted(ctx.inputs["text"].rglob("*.txt")) for word in path.read_text().split()]
    counts = {word: words.count(word) for word in sorted(set(words))}
    kept = {word: count for word, count in counts.items() if count >= ctx.parameters["least"]}
    ctx.log(f"{len(kept)} of {len(counts)} words")
    ctx.metric("words", 1, len(kept))
    lines = [f"{word},{count}" for word, count in kept.items()]
    (ctx.data_dir / "words.csv").write_text("\\n".join(["word,count", *lines, ""]))


if __name__ == "__main__":
    create.main()
`,
    'test_tool.py': `import unittest

from selvedge.tool.testing import run_tool
from tool import create


class ToolTest(unittest.TestCase):
    def test_leaves_out_what_is_seldom(self):
        result = run_tool(create, {"least": 2}, {"text": {"a.txt": "to be or not to be"}})
        self.assertEqual(result.files["words.csv"].decode(), "word,count\\nbe,2\\nto,2\\n")
        self.assertEqual(result.metrics["words"], [(1, 2)])
`,
    Dockerfile: `# The tool as a container: "dockerfile" in place of "path" in selvedge.yaml. The package "selvedge" is clients/python of
# Selvedge; copy it beside this file, or install it from where you keep it.
FROM python:3.12-slim
COPY selvedge /usr/lib/python3/selvedge
COPY tool.py /app/tool.py
ENV PYTHONPATH=/usr/lib/python3 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python3", "/app/tool.py"]
`,
  },
};
