"""`python -m experiments`: pack, run, table, sheet, halve."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.files import write_bytes
from brainseg_train.data.head_maps import open_or_make
from experiments import campaign, halves, packed, sheet, tables
from experiments.folder import Folder

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code: 0 done, 1 the budget ended before the campaign, 2 an error."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.act(chosen))
    except BrainsegError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def budget(text: str) -> float:
    """Seconds of a time such as 90s, 12m or 2h.

    Examples:
        >>> budget("12m")
        720.0
    """
    try:
        seconds = float(text[:-1]) * _UNITS[text[-1:]]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"not a time: expected such as 90s, 12m or 2h, got {text}") from None
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"not a time: expected more than 0, got {text}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(required=True)
    pack = commands.add_parser("pack", help="a data set in one file, for a machine without it")
    pack.add_argument("data", type=Path)
    pack.add_argument("out", type=Path)
    pack.set_defaults(act=_pack)
    run = commands.add_parser("run", help="train and measure what is left, within a budget")
    run.add_argument("--data", type=Path, required=True, help="a folder of patients, or a packed set")
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--budget", type=budget, required=True, help="such as 90s, 12m or 2h")
    run.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    run.add_argument("--epochs", type=int, help="by default the preset's, or as many as fit on a GPU")
    run.set_defaults(act=_run)
    table = commands.add_parser("table", help="the results as Markdown")
    table.add_argument("out", type=Path)
    table.set_defaults(act=_table)
    contact = commands.add_parser("sheet", help="a contact sheet of the maps of heads")
    contact.add_argument("data", type=Path)
    contact.add_argument("out", type=Path)
    contact.set_defaults(act=_sheet)
    halve = commands.add_parser("halve", help="a run's weights at half their size, to start other training from")
    halve.add_argument("run", type=Path, help="the run's folder")
    halve.add_argument("out", type=Path, help="such as models/deeplab, for models/deeplab.safetensors and .json")
    halve.set_defaults(act=_halve)
    return parser


def _pack(chosen: argparse.Namespace) -> int:
    packed.pack(packed.open_set(chosen.data), chosen.out)
    return 0


def _run(chosen: argparse.Namespace) -> int:
    dataset = packed.open_set(chosen.data)
    device = torch.device(chosen.device)
    complete = campaign.run(dataset, chosen.out, seconds=chosen.budget, device=device, epochs=chosen.epochs)
    ended = len(Folder(chosen.out).results())
    left = "all runs are done" if complete else "the budget has ended, and the same command goes on"
    sys.stderr.write(f"runs done: {ended}; {left}\n")
    return 0 if complete else 1


def _table(chosen: argparse.Namespace) -> int:
    sys.stdout.write(tables.table(Folder(chosen.out).results()))
    return 0


def _sheet(chosen: argparse.Namespace) -> int:
    dataset = packed.open_set(chosen.data)
    write_bytes(chosen.out, sheet.sheet(dataset, open_or_make(dataset)))
    return 0


def _halve(chosen: argparse.Namespace) -> int:
    halves.save_halves(chosen.run, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
