"""Compose the titles and descriptions of the generated marketplace.

A description states some of an item's facts (brand, material, era, soundness, story), each in
one of several wordings, between sentences that say nothing about the price. Soundness and story
are told with shared words in different contexts ("does not wobble", "wobbles"), so that counting
words helps and reading sentences helps more. The colour, the shape and the wear of the surface
are left to the photo, but for a colour word now and then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfeast.pipelines.demo.market.item import Item

# Name -> effect on the log price. Invented names: no encoder has read about them.
BRANDS = {
    "": 0.0,
    "Norrvik": 0.50,
    "Castellani": 0.42,
    "Brenner": 0.22,
    "Haldane": 0.05,
    "Lumoform": -0.12,
    "Oktohaus": -0.25,
    "Boxwell": -0.40,
}
# What the frame is made of; lamps are made of the metal in the second place of the pair.
MATERIALS = {
    ("solid walnut", "solid brass"): 0.38,
    ("teak", "copper"): 0.28,
    ("solid oak", "bronze"): 0.15,
    ("ash", "wrought iron"): 0.02,
    ("pine", "aluminium"): -0.15,
    ("veneer", "chromed tin"): -0.28,
    ("chipboard", "plastic"): -0.45,
}
# Wordings, age in years, effect.
ERAS: tuple[tuple[tuple[str, ...], int, float], ...] = (
    (
        ("Art Deco", "from the twenties", "about a hundred years old", "from the interwar years"),
        100,
        0.30,
    ),
    (("mid-century", "from the fifties", "post-war modern", "1950s"), 70, 0.36),
    (("1970s", "from the seventies", "retro, my parents bought it new around 1975"), 50, 0.02),
    (("1990s", "from the nineties", "about thirty years old"), 30, -0.26),
    (("recent", "bought a few years ago", "modern", "only a few years old"), 8, -0.06),
)
# From falling apart to perfect: the effect, then the wordings.
SOUNDNESS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        -0.55,
        (
            "Broken, sold for parts or to somebody who enjoys a project.",
            "It will not stand by itself any more, the frame has cracked through.",
            "Not usable as it is; a joiner would have to rebuild it.",
            "Sadly it gave way last winter and nobody here can repair it.",
        ),
    ),
    (
        -0.25,
        (
            "It wobbles and one joint needs gluing.",
            "A little unsteady, should be tightened before use.",
            "Works, but something is loose and I never got round to fixing it.",
            "One part does not sit tight any more, easy to repair if you have tools.",
        ),
    ),
    (
        0.0,
        (
            "Normal used condition, does what it should.",
            "Fine for everyday use, nothing special.",
            "Has been used daily and still works.",
            "Condition is all right for its age.",
        ),
    ),
    (
        0.25,
        (
            "Very sturdy, nothing is loose.",
            "Does not wobble, every joint is tight, no repairs needed.",
            "Well looked after, everything works as it should.",
            "Stands firm as a rock and was never broken.",
        ),
    ),
    (
        0.45,
        (
            "Fully restored by a joiner this year, better than new.",
            "Like new, it was hardly ever used.",
            "Perfect working order, professionally overhauled.",
            "Kept in a guest room and practically untouched.",
        ),
    ),
)
STORIES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        0.34,
        (
            "Made by hand in a small workshop, signed underneath.",
            "A numbered piece from a limited series, with the certificate.",
            "Shown in a design museum before it came to us; the original invoice is here.",
        ),
    ),
    (
        0.12,
        (
            "It comes from my grandmother's house.",
            "A family piece, always in the same room.",
            "We inherited it together with the house.",
        ),
    ),
    (
        -0.12,
        (
            "Bought at a discount store for a student flat.",
            "It was left behind by the previous tenant.",
            "Came as a flat pack, assembled once.",
        ),
    ),
    (
        -0.30,
        (
            "To be honest it is a copy, not an original.",
            "A cheap imitation of a famous design, but a cheerful one.",
            "Not signed and not genuine, just a look-alike.",
        ),
    ),
)
NOUNS = {
    "chair": ("chair", "dining chair", "side chair"),
    "armchair": ("armchair", "easy chair", "lounge chair"),
    "sofa": ("sofa", "couch", "three-seater"),
    "table": ("table", "dining table", "kitchen table"),
    "lamp": ("floor lamp", "lamp", "standing lamp"),
    "sideboard": ("sideboard", "credenza", "low cabinet"),
    "bookshelf": ("bookshelf", "bookcase", "shelf"),
    "bed": ("bed", "double bed", "bed frame"),
}
OPENINGS = (
    "Selling this {noun} because we are moving.",
    "Up for sale: {noun}.",
    "We no longer have room for this {noun}.",
    "Our {noun} is looking for a new home.",
    "{noun}, as in the picture.",
)
CLOSINGS = (
    "Pick-up only, second floor.",
    "Can be seen in the evening.",
    "Delivery possible for a fee.",
    "Cash please, no returns.",
    "Smoke-free home with a cat.",
    "Write if you have questions.",
)
TEMPLATES = (
    "See photo. Pick-up by arrangement, cash only, no returns.",
    "We clear houses and sell what is worth keeping. Ask for details. Delivery within the city.",
    "Good things at fair prices. Look at my other offers too, shipping can be combined.",
    "All items are in our storage and can be viewed on Saturdays between ten and four.",
)


def title(item: Item, rng: np.random.Generator) -> str:
    """Name the thing, perhaps with its brand or one fact more."""
    words = [pick(NOUNS[item.kind], rng)]
    if item.brand_stated and rng.random() < 0.6:
        words.insert(0, item.brand)
    if rng.random() < 0.25:
        words.append("in " + material_word(item))
    elif rng.random() < 0.2:
        words.append("- " + pick(ERAS[item.era][0], rng))
    return typos(" ".join(words).capitalize() if rng.random() < 0.5 else " ".join(words), rng)


def description(item: Item, rng: np.random.Generator, *, stated: float = 0.8) -> str:
    """Compose a description that states each fact with probability ``stated``.

    Parameters
    ----------
    item : Item
        The true factors of one listing. Its brand is named only where ``brand_stated``.
    rng : numpy.random.Generator
        Decides which facts, in which words and order, with which slips.
    stated : float
        Chance of each fact but the brand; an edited listing usually tells more.
    """
    facts = [
        sentence
        for sentence in (
            material_sentence(item, rng),
            era_sentence(item, rng),
            pick(SOUNDNESS[item.soundness][1], rng),
            pick(STORIES[item.story][1], rng),
        )
        if rng.random() < stated
    ]
    if item.brand_stated:
        wordings = ("The maker is {}.", "It is a {}.", "There is a {} label underneath.", "By {}.")
        facts.append(pick(wordings, rng).format(item.brand))
    if rng.random() < 0.08:
        facts.append(f"The colour is {item.colour}.")
    order = rng.permutation(len(facts))
    sentences = [facts[i] for i in order]
    if rng.random() < 0.5 or not facts:
        sentences.insert(0, pick(OPENINGS, rng).format(noun=pick(NOUNS[item.kind], rng)))
    if rng.random() < 0.3:
        sentences.append(pick(CLOSINGS, rng))
    return typos(" ".join(sentences), rng)


def sold_note(item: Item, price: float, rng: np.random.Generator) -> str:
    """Write what some sellers put in place of the description once the thing is gone.

    It gives the price away: a join that ignores event times will look wonderful, and be wrong.
    """
    wordings = ("SOLD for {:.0f}, thank you!", "Gone, it went for {:.0f}.", "Sold. ({:.0f})")
    return (
        pick(wordings, rng).format(price) + f" This {pick(NOUNS[item.kind], rng)} has a new home."
    )


def material_word(item: Item) -> str:
    """Return the item's material by its name: wood for furniture, metal for lamps."""
    return list(MATERIALS)[item.material][item.kind == "lamp"]


def material_sentence(item: Item, rng: np.random.Generator) -> str:
    """State the material."""
    wordings = ("It is made of {}.", "The frame is {}.", "Material: {}.", "As far as I know, {}.")
    return pick(wordings, rng).format(material_word(item))


def era_sentence(item: Item, rng: np.random.Generator) -> str:
    """State when the thing was made."""
    wordings = ("Age: {}.", "It is {}.", "I think it is {}.")
    return pick(wordings, rng).format(pick(ERAS[item.era][0], rng))


def pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    """Choose one; ``Generator.choice`` is fifty times slower and returns a numpy string."""
    return choices[int(rng.integers(len(choices)))]


def typos(text: str, rng: np.random.Generator, *, rate: float = 0.006) -> str:
    """Swap or drop about ``rate`` of the letters, and shout or whisper now and then.

    >>> typos("solid walnut", np.random.default_rng(0), rate=0.0)
    'solid walnut'
    """
    letters = list(text)
    for place in np.flatnonzero(rng.random(len(letters)) < rate):
        if not letters[place].isalpha():
            continue  # a year stays a year
        if place + 1 < len(letters) and rng.random() < 0.5:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        else:
            letters[place] = ""
    text = "".join(letters)
    style = rng.random() if rate else 1.0
    return text.upper() if style < 0.02 else text.lower() if style < 0.12 else text
