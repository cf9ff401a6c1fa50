"""What each column of a table is taken for, and why; and what only a person can tell."""

from __future__ import annotations

import re

from deepfeast.pipelines.start.facts import MANY, Facts
from deepfeast.pipelines.start.look import Look
from deepfeast.pipelines.start.names import plain_name
from deepfeast.pipelines.start.photos import PhotoColumn, photo_column
from deepfeast.pipelines.start.plan import Asked, Doubt, Plan, Proposal
from deepfeast.pipelines.start.table import Table
from deepfeast.pipelines.start.target import read_target, target_candidates
from deepfeast.transforms.errors import ColumnNotFound, LiftError, did_you_mean

NONE = "none"
FEWEST_GROUPS, MOST_CATEGORIES = 10, 50
ID = re.compile(
    r"(^|_)(id|uuid|guid|key|sku|isbn|ean|asin|slug|nr|no|number|code|index)$|[a-z]Id$|^unnamed_0$",
    re.IGNORECASE,
)
WHEN = ("sold", "event", "timestamp", "date", "datum", "time", "created", "posted", "_at")
GROUP = re.compile(
    r"(^|_)(seller|user|host|owner|customer|client|shop|store|vendor|author|patient|company|agent|"
    r"merchant|supplier|household|account|room|session)(s|_?(id|key|nr|no|name|uuid))?$",
    re.IGNORECASE,
)


def propose(table: Table, look: Look, asked: Asked) -> Proposal:
    """Say what each column is taken for.

    Raises
    ------
    ColumnNotFound
        If a column is named that is not there.
    LiftError
        If the target cannot be predicted.
    """
    return _Proposer(table, look, asked).run()


class _Proposer:
    """Gives each column its role, the surest roles first; what has one is not asked again."""

    def __init__(self, table: Table, look: Look, asked: Asked):
        self.table, self.look, self.asked = table, look, asked
        decimal = table.form.decimal if table.form else "."
        self.facts = {
            name: Facts(name, look.sample.column(name), decimal)
            for name in look.sample.schema.names
        }
        self.left = list(self.facts)
        self.found = Proposal(Plan(plain_name(table.title).lower()))
        self.given = {
            role: [self._resolve(name) for name in getattr(asked, role)]
            for role in ("texts", "photos", "categories", "skip")
        }
        self.given_all = {name for names in self.given.values() for name in names}

    def run(self) -> Proposal:
        single = {role: self._single(role) for role in ("target", "key", "time", "groups")}
        self.given_all |= {name for name in single.values() if name}
        for name in self.given["skip"]:
            self._say("left out", name, "as asked")
        target = single["target"]
        comma: list[str] = []
        target_is = "number"
        if target:
            read = read_target(self.facts[target], self.look, self.asked.log_target)
            target_is, self.found.log_target = read.kind, read.logged
            self._say("target", target, read.why)
            comma += [target] * (read.kind != "class" and self.facts[target].number_share[1] == ",")
        elif self.asked.target is None:
            self.found.doubts.append(
                Doubt("target", "What is to be predicted?", target_candidates(self.facts))
            )
        photos = self._photos()
        time = self._time(single["time"])
        key = self._key(single["key"], time)
        groups = self._groups(single["groups"])
        texts = self._texts()
        numbers, categories = self._handcrafted()
        for name in list(self.left):
            self._say("left out", name, self._why_not(self.facts[name]))
        facts = self.facts
        self.found.plan = Plan(
            name=self.found.plan.name,
            key=key,
            number_key=bool(key) and facts[key].whole_ids,
            time=time,
            time_format=(time and facts[time].time_format) or Plan.time_format,
            target=target,
            target_is=target_is,
            groups=groups,
            texts=texts,
            tagged=[name for name in texts if facts[name].tagged >= 0.05],
            photos={name: form.separator for name, form in photos.items()},
            numbers=numbers,
            categories=categories,
            comma=comma + [name for name in numbers if facts[name].number_share[1] == ","],
            names={p: o for p, o in self.table.names.items() if p != o},
        )
        self.found.photos = photos
        return self.found

    def _resolve(self, name: str) -> str:
        """Find a column by its name in the file, or by its plain one."""
        for plain, original in self.table.names.items():
            if name in (original, plain):
                return plain
        known = list(dict.fromkeys([*self.table.names.values(), *self.table.names]))
        shown = list(self.table.names.values())
        some = ", ".join(shown[:30]) + (f" and {len(shown) - 30} more" if len(shown) > 30 else "")
        raise ColumnNotFound(
            f"no column {name!r} in {self.table.path}. It has: {some}.{did_you_mean(name, known)}"
        )

    def _single(self, role: str) -> str | None:
        name = getattr(self.asked, role)
        return None if name is None or name == NONE else self._resolve(name)

    def _say(self, role: str, name: str, why: str) -> None:
        if name in self.left:
            self.left.remove(name)
        self.found.reasons.append((role, self.table.names[name], why))

    def _photos(self) -> dict[str, PhotoColumn]:
        found = {}
        for name in list(self.left):
            if name in self.given_all and name not in self.given["photos"]:
                continue
            original = self.table.names[name]
            cells = self.facts[name].cells
            root = self.asked.photos_root
            form = photo_column(cells, original, self.table.path.resolve().parent, root)
            if form is None:
                if name in self.given["photos"]:
                    raise LiftError(
                        f"{original!r} does not look like photos: expected paths or URLs that end "
                        f"in .jpg, .png and the like, data: URIs, or bytes."
                    )
                continue
            why = self._photo_why(form)
            if form.where == "path" and not form.found:
                self._say("left out", name, f"{why}; say where with --photos-root FOLDER")
            elif form.where == "url" and not set(form.hosts) <= set(self.asked.hosts):
                hosts = " ".join(f"--allow-host {host}" for host in form.hosts[:3])
                self._say("left out", name, f"{why}, which is fetched only where you say {hosts}")
            else:
                self._say("photo", name, why)
                found[name] = form
                if form.looked:
                    share = 1 - form.found / form.looked
                    self.found.missing_share = max(self.found.missing_share, share)
        return found

    def _photo_why(self, form: PhotoColumn) -> str:
        several = ", several a row" if form.several else ""
        if form.where == "path":
            there = "all" if form.found == form.looked else f"{form.found:,}"
            lacking = f"; {form.example} is not" if form.example else ""
            where = f"{there} of {form.looked:,} looked for are below {form.root}{lacking}"
            return f"paths{several}; {where}"
        if form.where == "url":
            return f"URLs{several} of {', '.join(form.hosts[:3])}"
        return {"bytes": "the bytes of pictures", "data": "pictures as data: URIs"}[
            form.where
        ] + several

    def _time(self, given: str | None) -> str | None:
        known = [name for name in self.left if self.facts[name].time_format]
        if given:
            if given not in known:
                raise LiftError(
                    f"{self.table.names[given]!r} does not look like times: expected dates or "
                    f"times such as 2024-05-01 or 01.05.2024 13:30."
                )
            self._say("time", given, "as asked: tested on rows later than those learned from")
            return given
        known = [n for n in known if self.facts[n].distinct > 1 and n not in self.given_all]
        if not known or self.asked.time == NONE:
            return None
        known.sort(key=lambda name: (self.facts[name].missing > 0, _rank(name)))
        if len(known) > 1:
            shown = [self.table.names[name] for name in known]
            question = "Which of the times is when a row was as it stands?"
            self.found.doubts.append(Doubt("time", question, [*shown, NONE], shown[0]))
        why = "tested on rows later than those learned from; --time none for any"
        self._say("time", known[0], why)
        return known[0]

    def _key(self, given: str | None, time: str | None) -> str | None:
        rows = self.look.sample.num_rows
        if given:
            facts = self.facts[given]
            if not (time or facts.distinct == len(facts.known)):
                raise LiftError(
                    f"{self.table.names[given]!r} has {facts.distinct:,} values in "
                    f"{len(facts.known):,} rows, and no column of times tells rows of one id "
                    f"apart. Leave --id out, and rows are numbered."
                )
            self._say("id", given, "as asked")
            return given
        if self.asked.key == NONE:
            return None
        known = [
            name
            for name in self.left
            if self.facts[name].unique
            and self.facts[name].is_code
            and not self.facts[name].time_format
            and name not in self.given_all
        ]
        stem = self.found.plan.name.rstrip("s")
        named = [name for name in known if ID.search(name)]
        named.sort(key=lambda n: (n.lower() != "id", not n.lower().startswith(stem)))
        others = [name for name in known if name not in named and self._could_be_id(name, rows)]
        for name in [*named, *others][:1]:
            self._say("id", name, "no value stands twice")
            return name
        self.found.notes.append(
            "No column is an id: rows go by their number in the file, so keep their order, or add "
            "one and say --id."
        )
        return None

    def _could_be_id(self, name: str, rows: int) -> bool:
        """Tell an id from a number that happens to be different in each row."""
        facts = self.facts[name]
        if not facts.is_number:
            return rows > 1 and facts.letters >= 2
        numbers = facts.numbers.to_numpy()
        return rows > 3 and bool(numbers.max() - numbers.min() == rows - 1)

    def _groups(self, given: str | None) -> str | None:
        if given:
            self._say("groups", given, f"as asked: {self._many(given)}")
            return given
        if self.asked.groups == NONE:
            return None
        known = [
            name
            for name in self.left
            if name not in self.given_all and _could_be_groups(self.facts[name])
        ]
        known.sort(key=lambda name: not GROUP.search(name))
        if not known:
            return None
        if len(known) > 1:
            shown = [self.table.names[name] for name in known]
            question = "Rows of one what belong together, and must not be on both sides of a split?"
            self.found.doubts.append(Doubt("groups", question, [*shown, NONE], shown[0]))
        self._say(
            "groups", known[0], f"{self._many(known[0])}; --groups none if rows are strangers"
        )
        return known[0]

    def _many(self, name: str) -> str:
        facts = self.facts[name]
        each = len(facts.known) / max(facts.distinct, 1)
        return f"{facts.distinct:,} of them, {each:.1f} rows each, never split"

    def _texts(self) -> list[str]:
        found = []
        for name in list(self.left):
            facts = self.facts[name]
            given = name in self.given["texts"]
            if given or (name not in self.given_all and _is_text(facts)):
                why = f"{facts.words:.0f} words on average, {facts.distinct:,} different"
                if facts.tagged >= 0.05:
                    why += "; HTML is taken off"
                self._say("text", name, "as asked" if given and not facts.words else why)
                found.append(name)
        return found

    def _handcrafted(self) -> tuple[list[str], list[str]]:
        numbers, categories = [], []
        for name in list(self.left):
            facts = self.facts[name]
            if name in self.given["categories"] or _is_category(facts):
                values = [str(one) for one in facts.known.unique().to_pylist()[:3]]
                few = f"{facts.distinct:,} values: {', '.join(values)}"
                self._say("category", name, few + ("…" if facts.distinct > 3 else ""))
                categories.append(name)
            elif facts.number_share[0] >= MANY and facts.distinct > 1 and not _is_key(facts):
                share = facts.number_share[0]
                rest = f", {1 - share:.0%} of the cells are none and missing" if share < 1 else ""
                self._say("number", name, f"as it is{rest}")
                numbers.append(name)
        return numbers, categories

    def _why_not(self, facts: Facts) -> str:
        if not len(facts.known):
            return "empty"
        if not facts.is_flat:
            return f"cells are {facts.cells.type}"
        if facts.distinct == 1:
            return f"always {str(facts.known[0].as_py())[:30]!r}"
        if facts.time_format:
            return "another time"
        if ID.search(facts.name) or facts.is_number:
            return f"an id of something: {facts.distinct:,} different"
        return (
            f"{facts.distinct:,} different values of {facts.words:.0f} words: neither text nor few"
        )


def _rank(name: str) -> int:
    found = [place for place, word in enumerate(WHEN) if word in name.lower()]
    return min(found, default=len(WHEN))


def _is_text(facts: Facts) -> bool:
    """Tell texts from names of categories: they have words, and are seldom the same."""
    if not facts.is_string or facts.distinct < 3 or facts.number_share[0] >= MANY:
        return False
    if facts.time_format:
        return False
    share = facts.distinct / len(facts.known)
    if facts.words >= 8:
        return share >= 0.02
    if facts.words >= 3:
        return share >= 0.2
    if facts.words >= 1.5:
        return share >= 0.6
    # Scripts without spaces between words.
    wide = sum(not cell.isascii() for cell in facts.tried.to_pylist()) / len(facts.tried)
    return wide >= 0.5 and facts.letters >= 8 and share >= 0.3


def _is_category(facts: Facts) -> bool:
    if not facts.is_flat or facts.time_format or facts.distinct < 2 or facts.is_number:
        return False
    most = max(2, min(MOST_CATEGORIES, len(facts.known) // 5))
    return facts.number_share[0] < MANY and facts.distinct <= most


def _could_be_groups(facts: Facts) -> bool:
    """Whether a column names what several rows belong to."""
    if not facts.is_flat or facts.distinct < FEWEST_GROUPS:
        return False
    most = 1.0 if GROUP.search(facts.name) else 0.97 if ID.search(facts.name) else 0.0
    return facts.distinct < most * len(facts.known)


def _is_key(facts: Facts) -> bool:
    """Whether a number only names something else, as seller_id does."""
    named = re.search(r"(^|_)(id|uuid|key)$|[a-z]Id$", facts.name, re.IGNORECASE)
    return bool(named or GROUP.search(facts.name)) and facts.distinct > MOST_CATEGORIES
