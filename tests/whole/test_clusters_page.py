"""The recipes for engines: every option is one that Beam has, and arrives as it was written.

The engines themselves are not here, but for Prism.
"""

import re
import shlex
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from deepfeast.pipelines.cli import app
from deepfeast.pipelines.embed.cli import _split
from deepfeast.pipelines.engine import BeamEngineConfig
from deepfeast.pipelines.options import pipeline_options
from deepfeast.transforms.errors import SpecError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "clusters.md").read_text()
DOCKERFILE = (ROOT / "docs" / "worker.Dockerfile").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Written in the text.
MENTIONED = [
    "--worker_start_timeout=300",
    "--job_server_timeout=300",
    "--direct_running_mode=multi_processing",
    "--extra_package=dist/deepfeast-0.1.0-py3-none-any.whl",
]


def recipes():
    """Return the options of every `deepfeast embed` of the page, as the command line reads them."""
    for block in BLOCK.findall(PAGE):
        for line in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line)
            if program == "deepfeast" and words[0] == "embed":
                group: Any = typer.main.get_command(app)
                found = group.commands["embed"].make_context("embed", words[1:])
                names, options = _split(found.params["views"])
                assert names == ["listing_deep"]
                yield options


def arrived(options):
    """Return what Beam makes of options, by name; those alone that its classes have."""
    return pipeline_options(options).get_all_options()


RECIPES = list(recipes())


def test_there_is_a_recipe_for_each_engine():
    runners = {option for options in RECIPES for option in options if "--runner" in option}
    names = ("Portable", "Prism", "Flink", "Spark", "Dataflow")
    assert runners == {f"--runner={name}Runner" for name in names}


@pytest.mark.parametrize("options", RECIPES, ids=lambda options: options[0])
def test_every_option_of_a_recipe_arrives_as_it_is_written(options):
    found = arrived(options)
    for option in options:
        name, value = option.removeprefix("--").split("=")
        there = found[name]  # a name that Beam's classes lack is not among them
        assert str(there[0] if isinstance(there, list) else there) == value, option


def test_the_options_in_the_text_are_beams_and_ours():
    for option in MENTIONED:
        assert option in PAGE
        name = option.removeprefix("--").split("=")[0]
        assert name.replace("extra_package", "extra_packages") in arrived([option])


@pytest.mark.parametrize("options", RECIPES, ids=lambda options: options[0])
def test_a_misspelt_option_of_a_recipe_is_refused(options):
    for place, option in enumerate(options):
        if not option.startswith("--runner"):
            name, value = option.split("=", 1)
            wrong = f"{name[:5]}{name[6:]}={value}"
            with pytest.raises(SpecError, match=re.escape(wrong.split("=")[0])):
                pipeline_options([*options[:place], wrong, *options[place + 1 :]])


def test_the_block_for_materializing_is_read_whole():
    block = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)[1])["batch_engine"]
    config = BeamEngineConfig(**block)
    options = [f"--runner={config.runner}", *config.options]
    assert arrived(options)["parallelism"] == 8
    assert PipelineOptions(options).get_all_options()["job_endpoint"] == "localhost:8099"


def test_the_image_copies_what_is_there_and_installs_what_is_declared():
    (base,) = re.findall(r"^FROM (.*)$", DOCKERFILE, re.M)
    python, beam = re.fullmatch(r"apache/beam_python(3\.\d+)_sdk:(.*)", base).groups()
    assert beam == version("apache-beam")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Python :: {python}" in " ".join(project["classifiers"])
    *copied, target = re.findall(r"^COPY (.*)$", DOCKERFILE, re.M)[0].split()
    assert [(ROOT / name).exists() for name in copied if not name.startswith("dist/")] == [True]
    assert f"deepfeast-{project['version']}-py3" in PAGE
    for line in re.findall(r"^RUN (.*)$", DOCKERFILE, re.M):
        subprocess.run(["bash", "-n", "-c", line], check=True)
        assert f"-c {target}constraints.txt" in line
    extras = re.search(r"\[(.*)\]", DOCKERFILE)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
