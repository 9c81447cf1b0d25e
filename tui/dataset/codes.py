"""Every fault that the data desk knows: its stable code, what it is called and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of fault.

    Attributes:
        code: Stable code: E1xx refuses the file, W2xx warns.
        title: What it is, as the heading of a group.
        advice: What to do next.
    """

    code: str
    title: str
    advice: str

    @property
    def is_error(self) -> bool:
        """Whether the file is refused for it."""
        return self.code.startswith("E")


_ALL = (
    # The file as a whole
    Code("E101", "malformed JSON", "correct the text at the column given; each line holds one complete JSON object"),
    Code("E102", "not an object", 'write each row as {"messages": [...]}'),
    Code("E103", "duplicate key", "keep one of the two; readers differ in which one they use"),
    Code("E104", "not valid UTF-8", "save the file as UTF-8; the byte given belongs to another encoding"),
    Code("E105", "no messages", 'give each row a "messages" list'),
    Code("E106", "messages is not a list", 'write "messages": [{"role": ..., "content": ...}, ...]'),
    Code("E107", "messages is empty", "fill the row or remove it"),
    Code("E108", "message is not an object", 'write each message as {"role": ..., "content": ...}'),
    Code("E109", "role is missing", "give the message a role: system, user or assistant"),
    Code("E110", "role is not text", "give the message a role: system, user or assistant"),
    Code("E111", "unknown role", "use system, user or assistant; fixing knows the names of other formats"),
    Code("E112", "role is miswritten", "write the role in small letters without spaces; fixing can do it"),
    Code(
        "E113",
        "role that the model does not take",
        "rewrite the message in a role that this model accepts, or choose another model",
    ),
    Code("E114", "content is missing", "give the message its text"),
    Code("E115", "content is not text", "write content as a string"),
    Code("E116", "content is empty", "write the text or remove the row; fixing removes such rows"),
    Code(
        "E117",
        "content given as parts",
        "join the text parts into one string; fixing can do it, and makes tool calls of tool blocks",
    ),
    Code("E118", "content part is malformed", 'write each part as {"type": "text", "text": ...}'),
    Code("E119", "no assistant turn", "add the answer to be learnt, or remove the row"),
    Code(
        "E120",
        "last turn is not the assistant's",
        "end the row with the answer to be learnt; fixing can cut what follows it",
    ),
    Code(
        "E121", "consecutive assistant turns", "join them or put the user's turn between; the service refuses such rows"
    ),
    Code("E122", "system message is not first", "move the system message to the start; fixing can do it"),
    Code(
        "E123",
        "tool result without its call",
        "put the assistant message that made the call before it, with the same id",
    ),
    Code(
        "E124",
        "tool arguments are not a JSON object in a string",
        "encode the arguments once, as an object in a string; fixing can do it",
    ),
    Code("E125", "tool call is malformed", 'write {"id", "type": "function", "function": {"name", "arguments"}}'),
    Code("E126", "tool definition is malformed", 'write {"type": "function", "function": {"name", "parameters"}}'),
    Code("E127", "tool calls that the model does not take", "choose a model that accepts tool calls, or remove them"),
    Code(
        "E128",
        "weight is not 0 or 1 on an assistant turn",
        "write 0 (not learnt) or 1 (learnt), on assistant messages only",
    ),
    Code("E129", "lone surrogate", "remove the half character; no encoder can write it. Fixing replaces it"),
    Code("E130", "NUL character", "remove it; fixing can do it"),
    Code(
        "E131",
        "row longer than the model's context",
        "shorten or split the conversation; what is past the end would be cut off unseen",
    ),
    Code("E132", "file too large", "split the file; the service refuses larger ones"),
    Code("E133", "no rows", "the file holds no example"),
    Code("E134", "too few examples", "add examples; the service refuses fewer"),
    Code("E135", "UTF-16 or UTF-32", "save the file as UTF-8; converting it can do so"),
    Code("E136", "one JSON document, not JSON Lines", "write one object a line, with its messages"),
    Code("E137", "another shape than chat", "convert the file to chat rows"),
    Code("E138", "not a text file", "unpack or export the file as JSON Lines first"),
    Code(
        "E139",
        "byte order mark that the engine does not take",
        "save the file as UTF-8 without a byte order mark; fixing can do it",
    ),
    Code("E140", "byte order mark inside the file", "remove it; it is left where files were joined. Fixing can do it"),
    Code("E141", "lines end with carriage returns only", "save the file with LF line ends; fixing can do it"),
    Code("E142", "several values on one line", "put each row on its own line; fixing can do it"),
    Code("E143", "nothing to learn", "give at least one assistant turn the weight 1"),
    Code("E144", "nested too deeply", "flatten the value; readers give up on it"),
    Code("E145", "line too long", "split the row; no model has a context of this size"),
    Code("E146", "number out of range", "write a smaller number; readers make infinity of it or refuse the row"),
    Code("E147", "not JSON Lines", "export the chats as JSON Lines: one object a line, with its messages"),
    # Warnings
    Code("W201", "no byte order mark", "the documentation asks for UTF-8 with a byte order mark; fixing can add it"),
    Code("W202", "blank lines", "remove them; fixing can do it"),
    Code(
        "W203",
        "field that training does not use",
        "remove it if it was meant to be learnt from; strict validators refuse it",
    ),
    Code("W204", "control character", "remove it; fixing can do it"),
    Code(
        "W205",
        "bidirectional or invisible character",
        "check that the text is what it looks like; fixing can remove it",
    ),
    Code("W206", "Unicode line separator", "some readers cut the line here; fixing replaces it with an escape"),
    Code(
        "W207",
        "broken encoding in the text",
        "the text was decoded with the wrong encoding once; restore it from its source",
    ),
    Code("W208", "chat template token in the text", "the model would read it as the start or end of a turn; remove it"),
    Code(
        "W209", "exact duplicate", "keep one; repeated rows are learnt several times over. Fixing can remove the rest"
    ),
    Code("W210", "near duplicate", "keep the better one, or accept that it weighs twice"),
    Code("W211", "one prompt with conflicting answers", "decide which answer is right; the model learns a mixture"),
    Code(
        "W212",
        "training row in the validation file",
        "remove it from one of them; the validation loss would be flattered",
    ),
    Code(
        "W213", "near duplicate in the validation file", "move both to one side; the validation loss would be flattered"
    ),
    Code("W214", "few examples", "the documentation advises 50 to 100 to start with and 500 for production"),
    Code("W215", "answers are unbalanced", "add examples of the rare answers, or the model will give the common one"),
    Code("W216", "length outlier", "look at the row: a paste, a log or a broken export is often the cause"),
    Code("W217", "e-mail address", "replace it with a placeholder if it belongs to a person; fixing can do it"),
    Code("W218", "phone number", "replace it with a placeholder if it belongs to a person; fixing can do it"),
    Code("W219", "payment card number", "remove it; its check digit is right. Fixing replaces it with a placeholder"),
    Code(
        "W220",
        "secret",
        "revoke it and remove it: a model repeats what it has learnt. Fixing replaces it with a placeholder",
    ),
    Code("W221", "likely to be refused by the safety evaluation", "a guess from English words alone; read the row"),
    Code("W222", "no user turn", "give the row the question it answers"),
    Code("W223", "consecutive user turns", "join them; the chat template expects turns to alternate"),
    Code("W224", "row probably longer than the model's context", "an estimate; shorten or split the conversation"),
    Code("W225", "surrounding white space in an answer", "the model learns to write it; fixing can remove it"),
    Code("W226", "content is null on a tool call", "leave content out; some validators refuse null. Fixing can do it"),
    Code(
        "W227",
        "tool schema with keywords that validators refuse",
        "remove title, default: null and anyOf with null from the parameters",
    ),
    Code(
        "W228",
        "national or bank identifier",
        "replace it with a placeholder if it belongs to a person; fixing can do it",
    ),
    Code(
        "W229",
        "rows without a system message beside rows with one",
        "give all rows the system message that you will use later, or none",
    ),
    Code("W230", "tool call without its result", "add the tool's message, or end the row with the call"),
    Code("W231", "text that repeats itself", "look at the row: a loop of a generator or a repeated paste is the cause"),
)

CODES: dict[str, Code] = {code.code: code for code in _ALL}
"""All codes by their name. A code never changes its meaning; a retired one is not used again."""
