"""The blob service of every storage account, at {account}.blob.core.windows.net."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tui.sandbox import storage_access
from tui.sandbox.blob_store import Address, Blob, Conditions, Container, Upload, check_blob_name
from tui.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

API_VERSION = "2024-11-04"
MIB = 1 << 20
# "Scalability targets for Blob Storage", service versions from 2019-12-12 on.
MAX_PUT = 5000 * MIB
MAX_BLOCK = 4000 * MIB
MAX_APPEND = 100 * MIB
MAX_XML = 8 * MIB  # 50,000 entries of a block list with ids of 64 bytes take 5 MB
MAX_METADATA = 8192
MAX_PAGE = 5000
CONTENT_HEADERS = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control")

Handler = Callable[["Call"], Awaitable[Response]]


class Call:
    """One request to the blob service, its account, container and blob taken apart."""

    def __init__(self, sandbox: Sandbox, request: Request) -> None:
        self.sandbox = sandbox
        self.store = sandbox.blobs
        self.request = request
        self.headers = request.headers
        self.query = request.query_params
        self.account = (request.url.hostname or "").split(".")[0]
        self.container, _, self.blob = request.path_params["path"].partition("/")
        if self.blob:
            check_blob_name(self.blob)

    @property
    def address(self) -> Address:
        """Where the blob of this call lies."""
        return Address(self.account, self.container, self.blob)

    @property
    def conditions(self) -> Conditions:
        """The conditional headers."""
        return Conditions(
            self.headers.get("if-match"),
            self.headers.get("if-none-match"),
            _http_time(self.headers.get("if-modified-since")),
            _http_time(self.headers.get("if-unmodified-since")),
        )

    @property
    def metadata(self) -> dict[str, str]:
        """The `x-ms-meta-*` headers, without their prefix.

        Raises:
            ServiceError: 400 MetadataTooLarge over 8 KiB in all, InvalidMetadata for a name that is no identifier.
        """
        prefix = "x-ms-meta-"
        found = {key[len(prefix) :]: value for key, value in self.headers.items() if key.startswith(prefix)}
        if sum(len(key) + len(value) for key, value in found.items()) > MAX_METADATA:
            raise ServiceError(400, "MetadataTooLarge", "The size of the specified metadata exceeds 8 KB.")
        if any(not re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) for key in found):
            raise ServiceError(400, "InvalidMetadata", "The metadata specified is invalid.")
        return found

    @property
    def content_headers(self) -> dict[str, str]:
        """The blob's HTTP headers as this request sets them (`x-ms-blob-*` before the plain ones)."""
        found = {"content-type": "application/octet-stream"}
        for name in CONTENT_HEADERS:
            value = self.headers.get(f"x-ms-blob-{name}")
            if value:
                found[name] = value
        md5 = self.headers.get("x-ms-blob-content-md5")
        if md5:
            found["content-md5"] = md5
        return found

    async def receive(self, limit: int, *, digested: bool) -> tuple[Upload, str | None]:
        """Stream the body to a file; returns the sealed file and its base64 MD5.

        Args:
            limit: most bytes that are accepted.
            digested: compute the MD5 in any case; else only when the request names one to compare with, since it
                takes as long as the transfer itself.

        Raises:
            ServiceError: 413 RequestBodyTooLarge, 400 Md5Mismatch, 400 UnsupportedHeader for a CRC64 checksum,
                which this service does not compute.
        """
        if "x-ms-content-crc64" in self.headers or "x-ms-structured-body" in self.headers:
            raise ServiceError(400, "UnsupportedHeader", "The sandbox verifies Content-MD5 only, not CRC64.")
        too_large = ServiceError(
            413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."
        )
        if int(self.headers.get("content-length", "0")) > limit:
            raise too_large
        upload = self.store.begin_upload()
        expected = self.headers.get("content-md5")
        digest = hashlib.md5(usedforsecurity=False) if digested or expected is not None else None
        try:
            async for piece in self.request.stream():
                if upload.size + len(piece) > limit:
                    raise too_large
                upload.write(piece)
                if digest is not None:
                    digest.update(piece)
            md5 = None if digest is None else base64.b64encode(digest.digest()).decode()
            if expected is not None and md5 is not None and not hmac.compare_digest(expected, md5):
                raise ServiceError(
                    400, "Md5Mismatch", "The MD5 value specified in the request did not match the value calculated."
                )
            await asyncio.to_thread(upload.seal)
        except BaseException:
            upload.discard()
            raise
        return upload, md5

    async def receive_xml(self) -> ElementTree.Element:
        """The body as XML.

        Raises:
            ServiceError: 413 over 8 MiB, 400 InvalidXmlDocument.
        """
        pieces = bytearray()
        async for piece in self.request.stream():
            pieces += piece
            if len(pieces) > MAX_XML:
                raise ServiceError(413, "RequestBodyTooLarge", "The request body is too large.")
        invalid = ServiceError(400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
        if b"<!DOCTYPE" in pieces or b"<!ENTITY" in pieces:
            raise invalid
        try:
            return ElementTree.fromstring(bytes(pieces))  # noqa: S314 - document types, the danger, are refused above
        except ElementTree.ParseError as error:
            raise invalid from error

    @property
    def standing(self) -> dict[str, str]:
        """Headers of every answer."""
        return {"x-ms-version": self.headers.get("x-ms-version", API_VERSION), "server": SERVER}

    def answer(self, status: int, headers: dict[str, str] | None = None, body: str | bytes = b"") -> Response:
        """A response with the service's standing headers."""
        media = "application/xml" if body else None
        return Response(body, status, headers={**self.standing, **(headers or {})}, media_type=media)


SERVER = "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"


def _http_time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError as error:
        raise ServiceError(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not valid.") from error


def _http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def _stamped(thing: Blob | Container) -> dict[str, str]:
    return {"etag": thing.etag, "last-modified": _http_date(thing.modified)}


def _written(blob: Blob, md5: str | None = None) -> dict[str, str]:
    headers = {**_stamped(blob), "x-ms-request-server-encrypted": "true"}
    return headers if md5 is None else {**headers, "content-md5": md5}


def _properties(blob: Blob) -> dict[str, str]:
    """Headers that describe a blob in the answer to a GET or HEAD."""
    described = {
        **_stamped(blob),
        **blob.headers,
        "accept-ranges": "bytes",
        "x-ms-blob-type": blob.kind,
        "x-ms-creation-time": _http_date(blob.created),
        "x-ms-lease-state": "available",
        "x-ms-lease-status": "unlocked",
        "x-ms-server-encrypted": "true",
        **{f"x-ms-meta-{key}": value for key, value in blob.metadata.items()},
    }
    if blob.kind == "BlockBlob":
        described |= {"x-ms-access-tier": "Hot", "x-ms-access-tier-inferred": "true"}
    else:
        described["x-ms-blob-committed-block-count"] = str(len(blob.segments))
    return described


# service and containers


async def _list_containers(call: Call) -> Response:
    prefix, marker, limit = call.query.get("prefix", ""), call.query.get("marker", ""), _page_size(call)
    found = [c for c in call.store.containers(call.account) if c.name.startswith(prefix) and c.name >= marker]
    entries = "".join(
        f"<Container><Name>{escape(c.name)}</Name><Properties><Last-Modified>{_http_date(c.modified)}</Last-Modified>"
        f"<Etag>{escape(c.etag)}</Etag><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        f"</Properties>{_metadata_xml(c.metadata) if 'metadata' in call.query.get('include', '') else ''}</Container>"
        for c in found[:limit]
    )
    following = found[limit].name if len(found) > limit else ""
    return call.answer(200, body=_listing(call, "", f"<Containers>{entries}</Containers>", following))


async def _service_properties(call: Call) -> Response:
    return call.answer(
        200,
        body='<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties><DefaultServiceVersion>'
        f"{API_VERSION}</DefaultServiceVersion></StorageServiceProperties>",
    )


async def _account_information(call: Call) -> Response:
    return call.answer(
        200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2", "x-ms-is-hns-enabled": "false"}
    )


async def _create_container(call: Call) -> Response:
    return call.answer(201, _stamped(call.store.create_container(call.account, call.container, call.metadata)))


async def _get_container(call: Call) -> Response:
    container = call.store.container(call.account, call.container)
    described = {f"x-ms-meta-{key}": value for key, value in container.metadata.items()}
    described |= {"x-ms-lease-state": "available", "x-ms-lease-status": "unlocked"}
    return call.answer(200, {**_stamped(container), **described})


async def _set_container_metadata(call: Call) -> Response:
    return call.answer(200, _stamped(call.store.set_container_metadata(call.account, call.container, call.metadata)))


async def _delete_container(call: Call) -> Response:
    call.store.delete_container(call.account, call.container)
    return call.answer(202)


def _page_size(call: Call) -> int:
    text = call.query.get("maxresults", str(MAX_PAGE))
    if not text.isdigit() or not int(text) >= 1:
        raise ServiceError(
            400, "OutOfRangeQueryParameterValue", "A query parameter specified in the request URI is out of range."
        )
    return min(int(text), MAX_PAGE)


def _metadata_xml(metadata: dict[str, str]) -> str:
    return f"<Metadata>{''.join(f'<{key}>{escape(value)}</{key}>' for key, value in metadata.items())}</Metadata>"


def _listing(call: Call, container: str, content: str, following: str) -> str:
    attributes = f'ServiceEndpoint="https://{call.account}.blob.core.windows.net/"'
    if container:
        attributes += f' ContainerName="{escape(container)}"'
    echoed = "".join(
        f"<{tag}>{escape(call.query[name])}</{tag}>"
        for name, tag in (
            ("prefix", "Prefix"),
            ("marker", "Marker"),
            ("maxresults", "MaxResults"),
            ("delimiter", "Delimiter"),
        )
        if call.query.get(name)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults {attributes}>{echoed}{content}'
        f"<NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
    )


async def _list_blobs(call: Call) -> Response:
    """A page of blobs; with a delimiter, names that share a part up to it are rolled into one prefix."""
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    limit, include = _page_size(call), call.query.get("include", "").split(",")
    after = _decode_marker(call.query.get("marker", ""))
    entries: list[str] = []
    following = ""
    while True:
        page = call.store.page(call.account, call.container, prefix, after, limit + 1)
        rolled_up = False
        for name, blob in page:
            if len(entries) == limit:
                following = _encode_marker(after)
                break
            part = name[len(prefix) :]
            if delimiter and delimiter in part:
                rolled = prefix + part.split(delimiter, 1)[0] + delimiter
                entries.append(f"<BlobPrefix><Name>{escape(rolled)}</Name></BlobPrefix>")
                after = rolled + "\U0010ffff"  # past every name that begins so
                rolled_up = True
                break
            entries.append(_blob_xml(name, blob, include))
            after = name
        if following or not rolled_up:
            break
    body = _listing(call, call.container, f"<Blobs>{''.join(entries)}</Blobs>", following)
    return call.answer(200, body=body)


def _encode_marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode()


def _decode_marker(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker).decode()
    except ValueError as error:
        raise ServiceError(
            400, "InvalidQueryParameterValue", "Value for one of the query parameters is invalid: marker."
        ) from error


def _blob_xml(name: str, blob: Blob, include: list[str]) -> str:
    properties = {
        "Creation-Time": _http_date(blob.created),
        "Last-Modified": _http_date(blob.modified),
        "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.size),
        "Content-Type": blob.headers.get("content-type", ""),
        "Content-Encoding": blob.headers.get("content-encoding", ""),
        "Content-Language": blob.headers.get("content-language", ""),
        "Content-MD5": blob.headers.get("content-md5", ""),
        "Cache-Control": blob.headers.get("cache-control", ""),
        "BlobType": blob.kind,
        "LeaseStatus": "unlocked",
        "LeaseState": "available",
        "ServerEncrypted": "true",
    }
    described = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in properties.items())
    metadata = _metadata_xml(blob.metadata) if "metadata" in include else ""
    return f"<Blob><Name>{escape(name)}</Name><Properties>{described}</Properties>{metadata}</Blob>"


# blobs


async def _put_blob(call: Call) -> Response:
    if "x-ms-copy-source" in call.headers:
        raise _unsupported("copying a blob from a URL")
    kind = call.headers.get("x-ms-blob-type", "")
    if kind == "AppendBlob":
        limit = 0
    elif kind == "BlockBlob":
        limit = MAX_PUT
    else:
        raise ServiceError(400, "InvalidHeaderValue", "x-ms-blob-type must be BlockBlob or AppendBlob in the sandbox.")
    call.store.container(call.account, call.container)
    conditions, metadata = call.conditions, call.metadata
    conditions.check(call.store.find(call.address), reading=False)  # before the body is received, and again at commit
    upload, md5 = await call.receive(limit, digested=True)
    headers = call.content_headers
    if kind == "BlockBlob" and md5 is not None:
        headers.setdefault("content-md5", md5)
    try:
        blob = await asyncio.to_thread(
            call.store.put,
            call.address,
            upload,
            headers,
            metadata,
            conditions,
            "AppendBlob" if kind == "AppendBlob" else "BlockBlob",
        )
    except ServiceError:
        upload.discard()
        raise
    return call.answer(201, _written(blob, md5))


def _block_id(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if not 1 <= len(raw) <= 64:
        raise ServiceError(
            400, "InvalidQueryParameterValue", "Value for one of the query parameters is invalid: blockid."
        )
    return text


async def _put_block(call: Call) -> Response:
    block = _block_id(call.query.get("blockid", ""))
    call.store.container(call.account, call.container)
    upload, md5 = await call.receive(MAX_BLOCK, digested=False)
    try:
        await asyncio.to_thread(call.store.put_block, call.address, block, upload)
    except ServiceError:
        upload.discard()
        raise
    encrypted = {"x-ms-request-server-encrypted": "true"}
    return call.answer(201, encrypted if md5 is None else {**encrypted, "content-md5": md5})


async def _put_block_list(call: Call) -> Response:
    document = await call.receive_xml()
    if document.tag != "BlockList" or any(e.tag not in ("Committed", "Uncommitted", "Latest") for e in document):
        raise ServiceError(400, "InvalidXmlDocument", "XML specified is not a block list.")
    blocks = [(element.tag, _block_id((element.text or "").strip())) for element in document]
    headers, metadata, conditions = call.content_headers, call.metadata, call.conditions
    blob = await asyncio.to_thread(call.store.put_block_list, call.address, blocks, headers, metadata, conditions)
    return call.answer(201, _written(blob))


async def _get_block_list(call: Call) -> Response:
    kind = call.query.get("blocklisttype", "committed").lower()
    if kind not in ("committed", "uncommitted", "all"):
        raise ServiceError(
            400, "InvalidQueryParameterValue", "Value for one of the query parameters is invalid: blocklisttype."
        )
    blob, fresh = call.store.find(call.address), call.store.uncommitted(call.address)
    if blob is None and not fresh:
        call.store.get(call.address)  # says which part of the address does not exist
    committed = [segment for segment in blob.segments if segment.block] if blob else []

    def section(tag: str, blocks: list[Any]) -> str:
        inside = "".join(f"<Block><Name>{escape(b.block)}</Name><Size>{b.size}</Size></Block>" for b in blocks)
        return f"<{tag}>{inside}</{tag}>"

    body = section("CommittedBlocks", committed) if kind != "uncommitted" else ""
    body += section("UncommittedBlocks", list(fresh.values())) if kind != "committed" else ""
    headers = {"x-ms-blob-content-length": str(blob.size if blob else 0)} | (_stamped(blob) if blob else {})
    return call.answer(200, headers, f'<?xml version="1.0" encoding="utf-8"?><BlockList>{body}</BlockList>')


async def _append_block(call: Call) -> Response:
    position = call.headers.get("x-ms-blob-condition-appendpos")
    conditions = call.conditions
    upload, md5 = await call.receive(MAX_APPEND, digested=False)
    try:
        blob, offset = await asyncio.to_thread(
            call.store.append, call.address, upload, conditions, None if position is None else int(position)
        )
    except ServiceError:
        upload.discard()
        raise
    counted = {
        "x-ms-blob-append-offset": str(offset),
        "x-ms-blob-committed-block-count": str(len(blob.segments)),
    }
    return call.answer(201, {**_written(blob, md5), **counted})


async def _set_metadata(call: Call) -> Response:
    blob = await asyncio.to_thread(call.store.change, call.address, call.conditions, metadata=call.metadata)
    return call.answer(200, _written(blob))


async def _set_properties(call: Call) -> Response:
    blob = await asyncio.to_thread(call.store.change, call.address, call.conditions, headers=call.content_headers)
    return call.answer(200, _stamped(blob))


async def _get_metadata(call: Call) -> Response:
    blob = call.store.get(call.address)
    return call.answer(200, {**_stamped(blob), **{f"x-ms-meta-{k}": v for k, v in blob.metadata.items()}})


async def _delete_blob(call: Call) -> Response:
    await asyncio.to_thread(call.store.delete, call.address, call.conditions)
    return call.answer(202, {"x-ms-delete-type-permanent": "true"})


async def _head_blob(call: Call) -> Response:
    blob = call.store.get(call.address)
    call.conditions.check(blob, reading=True)
    return call.answer(200, {**_properties(blob), "content-length": str(blob.size)})


def _range(call: Call, size: int) -> tuple[int, int] | None:
    """First and last byte asked for, or None for the whole blob.

    Raises:
        ServiceError: 416 InvalidRange when it begins past the end.
    """
    text = call.headers.get("x-ms-range") or call.headers.get("range")
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", text.strip()) if text else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or size - 1)
    if first >= size or last < first:
        raise ServiceError(
            416,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return first, min(last, size - 1)


async def _get_blob(call: Call) -> Response:
    blob = call.store.get(call.address)
    call.conditions.check(blob, reading=True)
    asked = _range(call, blob.size)
    first, last = asked or (0, blob.size - 1)
    length = last - first + 1
    headers = {**call.standing, **_properties(blob), "content-length": str(length)}
    if asked:
        headers["content-range"] = f"bytes {first}-{last}/{blob.size}"
        whole = headers.pop("content-md5", None)
        if whole:
            headers["x-ms-blob-content-md5"] = whole
        if call.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
            if length > 4 * MIB:
                raise ServiceError(400, "OutOfRangeInput", "One of the request inputs is out of range.")
            digest = hashlib.md5(b"".join(call.store.read(blob, first, length)), usedforsecurity=False)
            headers["content-md5"] = base64.b64encode(digest.digest()).decode()

    async def pieces() -> AsyncIterator[bytes]:
        for piece in call.store.read(blob, first, length):
            yield piece

    return StreamingResponse(pieces(), 206 if asked else 200, headers)


def _require_present(call: Call) -> None:
    """Raise Azure's refusal where a request names a lease, a snapshot or a version: there is none here."""
    if "x-ms-lease-id" in call.headers:
        level = "Blob" if call.blob else "Container"
        raise ServiceError(
            412, f"LeaseNotPresentWith{level}Operation", f"There is currently no lease on the {level.lower()}."
        )
    if call.query.get("snapshot") or call.query.get("versionid"):
        raise ServiceError(404, "BlobNotFound", "The specified blob does not exist.")


def _unsupported(what: str) -> ServiceError:
    return ServiceError(501, "NotImplemented", f"The sandbox's blob service does not offer {what}.")


# (method, has container, has blob, restype, comp) -> handler and the SAS permissions any one of which it needs
_OPERATIONS: dict[tuple[str, str, str, str], tuple[Handler, str]] = {
    ("GET", "service", "", "list"): (_list_containers, "l"),
    ("GET", "service", "service", "properties"): (_service_properties, "r"),
    ("GET", "service", "account", "properties"): (_account_information, "rwdlacu"),
    ("HEAD", "service", "account", "properties"): (_account_information, "rwdlacu"),
    ("PUT", "container", "container", ""): (_create_container, "cw"),
    ("GET", "container", "container", ""): (_get_container, "r"),
    ("HEAD", "container", "container", ""): (_get_container, "r"),
    ("GET", "container", "container", "metadata"): (_get_container, "r"),
    ("HEAD", "container", "container", "metadata"): (_get_container, "r"),
    ("PUT", "container", "container", "metadata"): (_set_container_metadata, "w"),
    ("DELETE", "container", "container", ""): (_delete_container, "d"),
    ("GET", "container", "container", "list"): (_list_blobs, "l"),
    ("GET", "container", "account", "properties"): (_account_information, "rwdlacu"),
    ("PUT", "blob", "", ""): (_put_blob, "cw"),
    ("PUT", "blob", "", "block"): (_put_block, "cw"),
    ("PUT", "blob", "", "blocklist"): (_put_block_list, "cw"),
    ("GET", "blob", "", "blocklist"): (_get_block_list, "r"),
    ("PUT", "blob", "", "appendblock"): (_append_block, "aw"),
    ("PUT", "blob", "", "metadata"): (_set_metadata, "w"),
    ("PUT", "blob", "", "properties"): (_set_properties, "w"),
    ("GET", "blob", "", "metadata"): (_get_metadata, "r"),
    ("HEAD", "blob", "", "metadata"): (_get_metadata, "r"),
    ("GET", "blob", "", ""): (_get_blob, "r"),
    ("HEAD", "blob", "", ""): (_head_blob, "r"),
    ("DELETE", "blob", "", ""): (_delete_blob, "d"),
}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The one route of the blob service; which operation it is, the method and the query decide."""

    async def handle(request: Request) -> Response:
        call = Call(sandbox, request)
        level = "blob" if call.blob else ("container" if call.container else "service")
        comp, restype = call.query.get("comp", ""), call.query.get("restype", "")
        operation = _OPERATIONS.get((request.method, level, restype, comp))
        if operation is None:
            raise _unsupported(f"{request.method} with comp={comp or '(none)'} on a {level}")
        handler, needed = operation
        storage_access.check(sandbox, request, call.account, call.container, call.blob, needed)
        _require_present(call)
        try:
            return await handler(call)
        except ClientDisconnect:
            # What was received is dropped with its file; there is nobody left to answer.
            return Response(status_code=499)
        except ServiceError as error:
            if error.status == 304:
                return call.answer(304, {"x-ms-error-code": error.code})
            raise

    methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
    return [Route("/{path:path}", handle, methods=methods)]
