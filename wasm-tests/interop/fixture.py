"""An MCP server of PyPI's `mcp` with what MCP's conformance suite asks for, in both
eras of the protocol.

Its argument is the port of loopback that it listens at.
"""

import base64
import struct
import sys
import zlib
from typing import Annotated

from mcp.server.mcpserver import (
    Audio,
    Context,
    Elicit,
    ElicitationResult,
    Image,
    ListRoots,
    MCPServer,
    Resolve,
    Sample,
    UserMessage,
)
from mcp_types import (
    Completion,
    CreateMessageResult,
    EmbeddedResource,
    ImageContent,
    ListRootsResult,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

server = MCPServer("fixture", version="1")


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


# One red pixel, and no sound at all.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    + chunk(b"IEND", b"")
)
WAV = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + bytes(4)


def embedded(uri, text):
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    )


@server.tool()
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@server.tool()
def test_image_content() -> Image:
    return Image(data=PNG, format="png")


@server.tool()
def test_audio_content() -> Audio:
    return Audio(data=WAV, format="wav")


@server.tool()
def test_embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


@server.tool()
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=base64.b64encode(PNG).decode(), mime_type="image/png"),
        embedded("test://mixed-content-resource", "mixed"),
    ]


@server.tool()
async def test_tool_with_logging(ctx: Context) -> str:
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(message)
    return "logged"


@server.tool()
async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
    return "done"


@server.tool()
def test_error_handling() -> str:
    raise ValueError("This tool intentionally returns an error for testing")


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[str, Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})] = "active"
    verified: bool = True


class Name(BaseModel):
    name: str


def sample(prompt):
    content = TextContent(type="text", text=prompt)
    return Sample([SamplingMessage(role="user", content=content)], max_tokens=100)


def ask_answer(message: str):
    return Elicit(message, Answer)


@server.tool()
def test_elicitation(message: str, answer: Annotated[ElicitationResult[Answer], Resolve(ask_answer)]) -> str:
    return f"User response: {answer.action}"


@server.tool()
def test_elicitation_sep1034_defaults(
    answer: Annotated[ElicitationResult[Defaults], Resolve(lambda: Elicit("Look at the defaults", Defaults))],
) -> str:
    return f"Elicitation completed: action={answer.action}"


def ask_model(prompt: str):
    return sample(prompt)


@server.tool()
def test_sampling(prompt: str, answer: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
    return f"LLM response: {answer.content.text}"


@server.tool()
def test_input_required_result_elicitation(
    name: Annotated[Name, Resolve(lambda: Elicit("What is your name?", Name))],
) -> str:
    return f"Hello, {name.name}!"


@server.tool()
def test_input_required_result_sampling(
    answer: Annotated[CreateMessageResult, Resolve(lambda: sample("What is the capital of France?"))],
) -> str:
    return answer.content.text


@server.tool()
def test_input_required_result_list_roots(roots: Annotated[ListRootsResult, Resolve(ListRoots)]) -> str:
    return ", ".join(str(root.uri) for root in roots.roots)


@server.tool()
def test_input_required_result_multiple_inputs(
    name: Annotated[Name, Resolve(lambda: Elicit("What is your name?", Name))],
    answer: Annotated[CreateMessageResult, Resolve(lambda: sample("Say hello"))],
    roots: Annotated[ListRootsResult, Resolve(ListRoots)],
) -> str:
    return f"{name.name}, {answer.content.text}, {len(roots.roots)}"


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return PNG


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return f'{{"id": "{id}", "templateTest": true, "data": "Data for ID: {id}"}}'


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    return "watched"


@server.prompt()
def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    return [UserMessage(embedded(resourceUri, "Embedded resource content for testing.")), UserMessage("Look at it.")]


@server.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    image = ImageContent(type="image", data=base64.b64encode(PNG).decode(), mime_type="image/png")
    return [UserMessage(image), UserMessage("Look at it.")]


@server.completion()
async def complete(ref, argument, context):
    return Completion(values=["paris", "park", "party"], total=3, has_more=False)


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
