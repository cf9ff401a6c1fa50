"""Made-up opinions: what people say of a film, a phone or a meal, put together from phrases.

Registries ship few texts in which anyone is content or angry, and what a word says of that is
little of the teacher's vector: a table that reads none of it keeps none of it. The adjectives and
nouns are those of WordNet's index that occur in the texts it was tagged on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

THINGS = """film|movie|story|plot|ending|script|cast|acting|director|actor|comedy|thriller|drama|
documentary|soundtrack|song|album|band|concert|show|series|episode|book|novel|author|chapter|
character|dialogue|phone|screen|battery|camera|laptop|keyboard|headphones|speaker|charger|cable|
printer|router|tablet|watch|player|software|app|update|website|game|controller|manual|hotel|room|
bed|bathroom|breakfast|lobby|view|location|staff|host|apartment|beach|pool|flight|seat|airline|
driver|taxi|train|restaurant|waiter|service|food|menu|pizza|burger|steak|salad|soup|dessert|
coffee|tea|wine|beer|sauce|chicken|fish|bread|cake|chocolate|snack|dress|shirt|jacket|shoes|boots|
fabric|zipper|colour|size|fit|bag|suitcase|chair|table|sofa|mattress|pillow|lamp|knife|pan|
blender|vacuum cleaner|toy|puzzle|bike|tent|tyre|car|engine|school|teacher|course|lesson|doctor|
dentist|nurse|hospital|bank|insurance|support|delivery|package|order|price|quality|product|
company|museum|exhibition|park|city|weather|meeting|boss|job|team|match|player|coach|president|
government|speech"""
LIKED = """I love this {t}|I loved the {t}|I really like the {t}|what a great {t}|
the {t} is amazing|the {t} was excellent|the {t} is perfect|the best {t} I have ever seen|
best {t} ever|the {t} works great|the {t} works perfectly|a must-have {t}|highly recommended|
I would recommend this {t} to anyone|worth every penny|great value for the money|
I am very happy with the {t}|the {t} exceeded my expectations|the {t} was delicious|
a wonderful {t}|a brilliant, moving {t}|an absolute joy|a touching and funny {t}|
the {t} never disappoints|I could not be happier|you won't regret it|five stars|thumbs up|
well done|thank you so much for the {t}|the {t} is easy to use|easy to set up|
sturdy and well made|so comfortable|it made me laugh out loud|I was on the edge of my seat|
a masterpiece|superb {t}|fantastic {t}|beautifully made|clever, fresh and {a}|charming|
I can't get enough of the {t}|will buy again|we will definitely come back|friendly and helpful|
clean, quiet and {a}|arrived on time|fast and reliable|impressive|
I was pleasantly surprised by the {t}|no complaints|nothing to complain about|can't go wrong|
the {t} is gorgeous|the {t} tastes great|the {t} fits perfectly|such a lovely {t}|
congratulations on the {t}"""
DISLIKED = """I hate this {t}|I hated the {t}|I do not like the {t}|I didn't like the {t} at all|
what a terrible {t}|the {t} is awful|the {t} was horrible|the worst {t} I have ever seen|
worst {t} ever|the {t} does not work|the {t} stopped working after a week|the {t} broke|
don't buy this {t}|avoid this {t}|stay away|a waste of money|a waste of time|not worth the price|
overpriced|I am very disappointed with the {t}|the {t} was disappointing|the {t} was disgusting|
a boring {t}|a dull, predictable {t}|a complete mess|the {t} fails|the {t} falls apart|
I want my money back|I regret buying it|one star|thumbs down|never again|the {t} is hard to use|
impossible to set up|cheap and flimsy|uncomfortable|it put me to sleep|painful to watch|
a disaster|poor {t}|lousy {t}|badly made|tedious, shallow and {a}|annoying|I am sick of the {t}|
we will not come back|rude and unhelpful|dirty, noisy and {a}|arrived late and damaged|
slow and unreliable|unimpressive|I expected more from the {t}|full of problems|
nothing but trouble|the {t} let me down|the {t} is ugly|the {t} tastes bad|the {t} does not fit|
such an ugly {t}|shame on the {t}|lacks any {n}|the {t} isn't funny|not a good {t}|
it is not good enough|there is nothing new in this {t}|sadly, no {n}"""
NEITHER = """the {t} is okay|the {t} was fine, nothing special|average {t}|
the {t} is what you would expect|it does the job|not bad|not great but not terrible|
the {t} is {a}|the {t} was {a}|a {a} {t}|a {a} and {a} {t}|this {t} has a {a} {n}|
the {n} of the {t}|a {t} about {n}|a {t} with {n} and {n}|too {a}|so {a}|very {a}|
less {a} than the other {t}|the {t} seems {a}|I bought the {t} for my son|
I got this {t} as a gift|I have used the {t} for two months|we stayed for three nights|
we watched it last night|I read it in one day|is the {t} any good?|how is the {t}?|
does anyone know a {a} {t}?|I think the {t} is {a}|it feels {a}|you can tell that the {t} is {a}|
the {t} is neither {a} nor {a}|as {a} as it is {a}|never {a}|not {a}"""


def opinions(folder: Path, count: int = 28_000, seed: int = 5) -> Iterator[str]:
    """Yield opinions of one to three parts; `folder` holds WordNet's index."""
    drawn = random.Random(seed)
    things = THINGS.replace("\n", "").split("|")
    adjectives, nouns = _used(folder / "index.adj"), _used(folder / "index.noun")
    kinds = [kind.replace("\n", "").split("|") for kind in (LIKED, DISLIKED, NEITHER)]
    for _ in range(count):
        thing, said = drawn.choice(things), drawn.choice(kinds[:2])
        parts = [
            drawn.choice(said if drawn.random() < 0.65 else kinds[2])
            for _ in range(drawn.choice([1, 1, 2, 2, 3]))
        ]
        text = drawn.choice([". ", ", ", " and ", ", but ", "! "]).join(parts)
        while "{a}" in text:
            text = text.replace("{a}", drawn.choice(adjectives), 1)
        while "{n}" in text:
            text = text.replace("{n}", drawn.choice(nouns), 1)
        yield text.replace("{t}", thing) + drawn.choice(["", ".", ".", "!"])


def _used(index: Path) -> list[str]:
    """Return the words of one index that occur in the texts WordNet was tagged on."""
    words = []
    for line in index.read_text().splitlines():
        fields = line.split()
        if not line.startswith(" ") and int(fields[-1 - int(fields[2])]) > 0:
            words.append(fields[0].split("(")[0].replace("_", " "))
    return words
