/** Files of a new tool, by name: a working one that counts words, with its test. */
export const TEMPLATES: Readonly<Record<'py' | 'ts', Readonly<Record<string, string>>>> = {
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
    Dockerfile: `# The tool as a container: "dockerfile" in place of "path" in selvedge.yaml. Selvedge adds the folder "selvedge", its kit for
# tools, to this one when it builds the image; elsewhere, copy clients/python/src/selvedge here.
FROM python:3.12-slim
COPY selvedge /usr/lib/python3/selvedge
COPY tool.py /app/tool.py
ENV PYTHONPATH=/usr/lib/python3 PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python3", "/app/tool.py"]
`,
  },
  ts: {
    'tool.ts': `import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineTool, z } from '@selvedge/tools';

export default defineTool({
  name: 'NAME',
  description: 'Counts words, and leaves out those that are seldom',
  class: 'data',
  makes: 'word-counts',
  parameters: z.strictObject({ least: z.int().min(1).default(1) }),
  inputs: { text: 'text files' },
  example: async () => ({ parameters: { least: 2 }, inputs: { text: { file: 'text.txt', text: 'to be or not to be\\n' } } }),
  async create({ parameters, inputs, dataDir, log, metric }) {
    const files = (await readdir(inputs.text, { recursive: true })).filter((file) => file.endsWith('.txt'));
    const texts = await Promise.all(files.map((file) => readFile(join(inputs.text, file), 'utf8')));
    const counts = new Map<string, number>();
    for (const word of texts.join(' ').match(/\\S+/g) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
    const kept = [...counts].filter(([, count]) => count >= parameters.least).sort();
    log(\`\${kept.length} of \${counts.size} words\`);
    metric('words', 1, kept.length);
    await writeFile(join(dataDir, 'words.csv'), ['word,count', ...kept.map((line) => line.join()), ''].join('\\n'));
  },
});
`,
    'tool.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTool } from '@selvedge/tools/testing';
import tool from './tool.ts';

test('leaves out what is seldom', async () => {
  const { files, metrics } = await runTool(tool, { least: 2 }, { text: { 'a.txt': 'to be or not to be' } });
  assert.equal(files['words.csv']?.toString(), 'word,count\\nbe,2\\nto,2\\n');
  assert.deepEqual(metrics.words, [[1, 2]]);
});
`,
    'package.json': `{
  "private": true,
  "type": "module"
}
`,
    Dockerfile: `# The tool as a container: "dockerfile" in place of "path" in selvedge.yaml. Selvedge adds the folder "selvedge-kit" to this
# one when it builds the image; elsewhere, copy packages/tools/dist/selvedge-kit here. Node 22.18 and newer run TypeScript.
FROM node:24-slim
COPY selvedge-kit /opt/selvedge-kit
COPY package.json tool.ts /app/
ENTRYPOINT ["node", "--import", "/opt/selvedge-kit/hooks.js", "/opt/selvedge-kit/host.js", "/app/tool.ts"]
`,
  },
};
