"""The own block upload beside azure-storage-blob's `upload_blob`, same concurrency, same server, in one run.

    python tests/bench/bench_upload.py [--mib 96] [--rounds 5] [--concurrency 8] [--azurite]

Both send the same number of random bytes to the sandbox's blob service. `send` is the transfer alone; `whole` is all
that `uploads.upload` does: hashing the file, the transfer, the check after arrival and the registration of the asset.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from azure.storage.blob import BlobClient

from tui.recipe import Target
from tui.sandbox import daemon
from tui.services import identity, projects, uploads
from tui.services.clients import Azure
from tui.services.journal import Journal
from tui.services.progress import Cancel
from tui.services.projects import Workspace
from tui.settings import Profile, Settings


def library(azure: Azure, project: Workspace, path: Path, concurrency: int) -> float:
    """Seconds that azure-storage-blob takes."""
    store = uploads.datastore(azure, project)
    client = BlobClient(
        store.account_url,
        store.container,
        f"bench/{path.name}",
        credential=uploads._signature(azure, project),
        max_block_size=uploads.BLOCK,
        max_single_put_size=uploads.BLOCK,
    )
    started = time.perf_counter()
    with path.open("rb") as file:
        client.upload_blob(file, overwrite=True, max_concurrency=concurrency)
    return time.perf_counter() - started


def own(azure: Azure, project: Workspace, path: Path, concurrency: int, journal: Journal) -> tuple[float, float]:
    """Seconds that the own upload takes: the transfer, and everything."""
    transfer = 0.0
    send = uploads._send

    def timed(*arguments: object) -> None:
        nonlocal transfer
        started = time.perf_counter()
        send(*arguments)  # type: ignore[arg-type]  # passed on as they came
        transfer = time.perf_counter() - started

    uploads._send = timed
    started = time.perf_counter()
    try:
        uploads.upload(azure, project, path, "bench", journal=journal, cancel=Cancel(), concurrency=concurrency)
    finally:
        uploads._send = send
    return transfer, time.perf_counter() - started


def beside(azure: Azure, project: Workspace, path: Path, concurrency: int) -> float:
    """Seconds of the transfer alone, on a server that is not ours."""
    with path.open("rb") as file, uploads._pool(concurrency) as pool:
        content = uploads._Content(file, path.name, pool, None, Cancel())
        target = uploads._Target(uploads._Store(azure, project, None, Cancel()), f"own/{path.name}")
        started = time.perf_counter()
        uploads._send(target, content, {}, pool, concurrency, None, Cancel())
    return time.perf_counter() - started


def on_azurite(args: argparse.Namespace, folder: Path) -> None:
    """Measure on Azurite and print."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "services"))
    from azuritekit import WORKSPACE, azurite

    rows = []
    with azurite(folder) as account:
        for number in range(args.rounds + 1):
            path = folder / f"{number}.jsonl"
            path.write_bytes(os.urandom(args.mib * 1024 * 1024))
            theirs = library(account, WORKSPACE, path, args.concurrency)
            rows.append((theirs, beside(account, WORKSPACE, path, args.concurrency)))
            path.unlink()
    rate = [args.mib * 1.048576 / statistics.median(column) for column in zip(*rows[1:], strict=True)]
    ratio = statistics.median(theirs / ours for theirs, ours in rows[1:])
    sys.stdout.write(f"Azurite: upload_blob {rate[0]:.1f} MB/s, own {rate[1]:.1f} MB/s, {ratio:.2f} of upload_blob's\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=uploads.CONCURRENCY)
    parser.add_argument("--azurite", action="store_true", help="on Azurite (npm), and not on the sandbox")
    args = parser.parse_args()
    if args.azurite:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            on_azurite(args, Path(folder))
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        info = daemon.start(place / "sandbox", pace=0.0)
        os.environ.update(daemon.env_lines(info))
        try:
            settings = Settings(state=place / "state", profiles={"default": Profile(method="environment")})
            azure, journal = identity.connect(settings), Journal(settings.journal)
            target = Target(subscription=info.subscription)
            hub = projects.ensure_hub(azure, target, journal=journal)
            project = projects.ensure_project(azure, target, hub, journal=journal)
            rows: list[tuple[float, float, float]] = []
            for number in range(args.rounds + 1):  # the first round warms connections and imports
                path = place / f"{number}.jsonl"
                path.write_bytes(os.urandom(args.mib * 1024 * 1024))
                theirs = library(azure, project, path, args.concurrency)
                rows.append((theirs, *own(azure, project, path, args.concurrency, journal)))
                path.unlink()
        finally:
            daemon.stop(place / "sandbox")
    rate = [args.mib * 1.048576 / statistics.median(column) for column in zip(*rows[1:], strict=True)]
    send = statistics.median(theirs / ours for theirs, ours, _ in rows[1:])
    whole = statistics.median(theirs / all_ for theirs, _, all_ in rows[1:])
    sys.stdout.write(f"{args.mib} MiB, {args.concurrency} at once, {args.rounds} rounds, medians\n")
    sys.stdout.write(f"upload_blob        {rate[0]:7.1f} MB/s\n")
    sys.stdout.write(f"own, send          {rate[1]:7.1f} MB/s   {send:.2f} of upload_blob's\n")
    sys.stdout.write(f"own, whole         {rate[2]:7.1f} MB/s   {whole:.2f} of upload_blob's\n")


if __name__ == "__main__":
    main()
