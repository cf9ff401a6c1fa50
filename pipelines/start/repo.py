"""A Feast repo for a table, as a person would write it; nothing that is there is overwritten."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deepfeast.pipelines.start.photos import PhotoColumn
from deepfeast.pipelines.start.plan import Plan, Proposal
from deepfeast.pipelines.start.table import Table
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.files.write import check_writable, whole

TEMPLATES = Path(__file__).parent / "templates"
OFFLINE = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
ENGINE = "deepfeast.pipelines.engine.BeamEngine"
YAML = f"""# Registry, online store and data lie beside this file; each line may name another place.
project: {{name}}
provider: local
registry: data/registry.db
entity_key_serialization_version: 3
# Complete and ordered point-in-time joins over Parquet and Delta.
offline_store:
  type: {OFFLINE}
# feast materialize through Beam; deep views are embedded first if their source has news.
batch_engine:
  type: {ENGINE}
  runner: FnApiRunner
online_store:
  type: sqlite
  path: data/online.db
"""


@dataclass(frozen=True)
class Encoders:
    """Which networks read texts and photos."""

    text: str = "text-tiny"
    image: str = "image-tiny"


@dataclass(frozen=True)
class Repo:
    """A repo that was written, or added to.

    Attributes
    ----------
    folder : Path
    plan : Plan
        Under the name that was free there.
    files : list of str
        What was written, by name.
    merge : list of str
        What a person has to do in a repo that was there before.
    allowed_rejects : float, optional
        Where more photos are missing than a run usually accepts.
    log_target : bool
        Whether the target's logarithm is predicted.
    """

    folder: Path
    plan: Plan
    files: list[str] = field(default_factory=list)
    merge: list[str] = field(default_factory=list)
    allowed_rejects: float | None = None
    log_target: bool = False

    def commands(self, example_key: str | None = None) -> list[str]:
        """Write the next commands, as one types them where `folder` is written as it is."""
        name, folder = self.plan.name, shlex.quote(str(self.folder))
        told = [f"deepfeast run --repo {folder}{self.rejects_option}"]
        if self.plan.target:
            labels = shlex.quote(str(self.folder / "data" / f"{name}_labels.parquet"))
            told.append(f"deepfeast lift {labels} --repo {folder} {self.lift_options}")
        if example_key is not None:
            script = shlex.quote(str(self.folder / f"{name}_look_up.py"))
            told.append(f"python {script} {shlex.quote(example_key)}")
        return told

    @property
    def lift_options(self) -> str:
        """What `deepfeast lift` is to be told."""
        plan = self.plan
        told = [f"--service {plan.name}_model", f"--target {plan.target}"]
        told += [f"--groups {plan.groups}"] if plan.groups else []
        told += ["--time event_timestamp"] if plan.time else []
        told += ["--log-target"] if self.log_target else []
        return " ".join(told)

    @property
    def rejects_option(self) -> str:
        """What `deepfeast run` is to be told, before which there is a space."""
        return "" if self.allowed_rejects is None else f" --allowed-rejects {self.allowed_rejects}"


def write_repo(
    folder: Path, table: Table, proposal: Proposal, encoders: Encoders, example_key: str = "KEY"
) -> Repo:
    """Write the files of a repo; into one that is there, files beside those it has.

    Parameters
    ----------
    folder : Path
        Empty, or not there, or a Feast repo.
    table : Table
    proposal : Proposal
    encoders : Encoders
    example_key : str
        A key to look up, for the examples.

    Raises
    ------
    SpecError
        If the folder has other things in it, or all that would be written is there.
    """
    check_writable(folder, "deepfeast init")
    there = (folder / "feature_store.yaml").is_file()
    if not there and folder.exists() and any(folder.iterdir()):
        raise SpecError(
            f"{folder.resolve()} is neither empty nor a Feast repo (it has no feature_store.yaml): "
            f"name a new folder."
        )
    own = folder / f"{proposal.plan.name}_features.py"
    if own.exists():
        raise SpecError(
            f"{own} is there already, and is left as it is. To read the table anew: python "
            f"{proposal.plan.name}_prepare.py; to begin again, name another folder."
        )
    plan = replace(proposal.plan, name=_free_name(proposal.plan.name, folder))
    share = proposal.missing_share
    allowed = None if share < 0.03 else min(1.0, round(share * 1.5 + 0.05, 2))
    repo = Repo(
        folder,
        plan,
        allowed_rejects=allowed,
        log_target=bool(plan.target) and proposal.log_target,
    )
    name = plan.name
    words = _words(table, replace(proposal, plan=plan), encoders, repo, example_key)
    readme = f"{name}_README.md" if (folder / "README.md").exists() else "README.md"
    files = {
        f"{name}_features.py": "features.py.j2",
        f"{name}_prepare.py": "prepare.py.j2",
        f"{name}_look_up.py": "look_up.py.j2",
        f"{name}_nightly.sh": "nightly.sh.j2",
        readme: "README.md.j2",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    if there:
        repo.merge.extend(_to_merge(folder))
    else:
        _write(folder / "feature_store.yaml", YAML.format(name=name))
        repo.files.append("feature_store.yaml")
        if not (folder / ".gitignore").exists():
            _write(folder / ".gitignore", "data/\nlift/\n__pycache__/\n")
    for file, template in files.items():
        _write(folder / file, _rendered(template, words | {"yaml": not there}))
        repo.files.append(file)
    (folder / f"{name}_nightly.sh").chmod(0o755)
    return repo


def _write(path: Path, text: str) -> None:
    with whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _rendered(template: str, words: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(words)
    return re.sub(r"\n{4,}", "\n\n\n", text)


def _words(
    table: Table, proposal: Proposal, encoders: Encoders, repo: Repo, example_key: str
) -> dict[str, Any]:
    """Return what the templates speak of."""
    plan = proposal.plan
    roots, photos = _roots(proposal.photos, repo.folder)
    types = ["Float64"] * bool(plan.numbers) + ["String"] * bool(plan.categories)
    inside = replace(repo, folder=Path())
    return {
        "plan": plan,
        # A name may hold anything, and stands in docstrings.
        "source": re.sub(r'[\\"\n\r]', "_", table.path.name),
        "types": types,
        "number_key": plan.number_key or plan.key is None,
        "roots": roots,
        "photos": photos,
        "text_encoder": encoders.text,
        "image_encoder": encoders.image,
        "table_code": _path_code(table.path.resolve(), repo.folder),
        "plan_code": plan_code(plan),
        "example_key": shlex.quote(example_key),
        "nightly_path": shlex.quote(str((repo.folder / f"{plan.name}_nightly.sh").resolve())),
        "bin": Path(sys.executable).parent,
        "rejects": repo.rejects_option,
        "commands": [
            f"python {plan.name}_prepare.py",
            *inside.commands(example_key),
        ],
        "reasons": proposal.reasons,
        "notes": proposal.notes,
    }


def _roots(
    photos: dict[str, PhotoColumn], folder: Path
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Name the folders that paths of photos are relative to, each once."""
    roots: dict[Path, str] = {}
    listed = []
    for name, form in photos.items():
        if form.root is not None and form.root not in roots:
            roots[form.root] = f"PHOTOS_{len(roots) + 1}" if roots else "PHOTOS"
        variable = roots[form.root] if form.root is not None else ""
        listed.append(
            {"name": name, "root": variable, "hosts": _code(form.hosts) if form.hosts else ""}
        )
    told = [{"variable": v, "code": _path_code(path, folder, True)} for path, v in roots.items()]
    return told, listed


def _path_code(path: Path, folder: Path, alone: bool = False) -> str:
    """Write a path as code: relative to the repo where both could be moved together."""
    here = "Path(__file__).parent" if alone else "HERE"
    relative = os.path.relpath(path, folder.resolve())
    if relative.count("..") > 3:
        return f"Path({_code(str(path))})"
    return f"{here} / {_code(relative)}"


def plan_code(plan: Plan) -> str:
    """Write a plan as code that gives it again, without what is as usual.

    >>> print(plan_code(Plan("shop", texts=["title"])))
    Plan(
        name="shop",
        texts=["title"],
    )
    """
    lines = ["Plan("]
    usual = vars(Plan(plan.name))
    for name, value in vars(plan).items():
        if name == "name" or (value and value != usual[name]):
            lines += _argument(name, value)
    return "\n".join([*lines, ")"])


def _argument(name: str, value: Any) -> list[str]:
    line = f"    {name}={_code(value)},"
    if len(line) <= 99 or isinstance(value, str | bool):
        return [line]
    first, *items, last = (
        ["{", *(f"{_code(k)}: {_code(v)}" for k, v in value.items()), "}"]
        if isinstance(value, Mapping)
        else ["[", *map(_code, value), "]"]
    )
    return [f"    {name}={first}", *(f"        {one}," for one in items), f"    {last},"]


def _code(value: Any) -> str:
    """Write plain data as code, in double quotes."""
    if isinstance(value, str):
        # What stands in quotes of JSON stands in those of Python, too.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_code(k)}: {_code(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_code, value)) + "]"
    return repr(value)


def _free_name(name: str, folder: Path) -> str:
    """Find a name that no declaration of the repo begins with."""
    told = "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("**/*.py")))
    taken = set(re.findall(r"[\"'](\w+)[\"']", told))
    ends = ("", "_rows", "_columns", "_deep", "_model", "_model_today")
    free, number = name, 1
    while any(f"{free}{end}" in taken for end in ends):
        number += 1
        free = f"{name}_{number}"
    return free


def _to_merge(folder: Path) -> list[str]:
    """Say what the configuration of a repo lacks."""
    text = (folder / "feature_store.yaml").read_text(errors="replace")
    told: list[str] = []
    if OFFLINE not in text:
        told.append(
            f"feature_store.yaml: offline_store: {{type: {OFFLINE}}}, for complete joins; where "
            f"the repo has a warehouse, put its block under warehouse: there"
        )
    if ENGINE not in text:
        told.append(
            f"feature_store.yaml: batch_engine: {{type: {ENGINE}, runner: FnApiRunner}}, so that "
            f"feast materialize embeds and writes through Beam"
        )
    return told


def example_keys(repo: Repo, count: int = 1) -> Sequence[str]:
    """Return a few keys of the rows of a repo, as texts."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(repo.folder / "data" / f"{repo.plan.name}.parquet") as file:
        batch = next(file.iter_batches(count, columns=[repo.plan.join_key]))
    return [str(key) for key in batch.column(0).to_pylist()]
