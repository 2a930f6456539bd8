"""The kit for tools of a pipeline: one function, and everything else is here.

    from selvedge.tool import tool

    @tool(name="count", makes="count", inputs={"folder": "any files"})
    def create(ctx):
        ...

    if __name__ == "__main__":
        create.main()
"""

from .context import ToolContext, ToolError
from .definition import Tool, tool

__all__ = ["Tool", "ToolContext", "ToolError", "tool"]
