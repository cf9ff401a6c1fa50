"""The benchmarks of the page `docs/benchmarks.md`, and what is said about each. Not a benchmark.

Figures are never written here: they come from the runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Chosen:
    """One benchmark of the page.

    Attributes
    ----------
    name : str
        Its file, without ``.py``.
    title, question : str
    rows : dict of str to str
        Of each ratio that is shown, the peer it is against, in words.
    theirs : str
        What speaks for the peers, whatever the figures say.
    words : tuple of str
        Options, for a size that fits.
    seconds : int
        What it takes on two idle cores, about; after a run the page's JSON knows better.
    """

    name: str
    title: str
    question: str
    rows: dict[str, str]
    theirs: str
    words: tuple[str, ...] = field(default=())
    seconds: int = 100


CHOSEN = (
    Chosen(
        "text_encoding",
        "Encoding texts",
        "Texts in memory to vectors by the same network, `minilm`.",
        {"encode": "`SentenceTransformer.encode`, with its defaults"},
        "sentence-transformers opens nearly any network of the hub as it is, also on a GPU, and "
        "trains and fine-tunes them; deepfeast only reads, and is made for processors.",
        ("--texts", "250"),
    ),
    Chosen(
        "image_encoding",
        "Encoding photos",
        "JPEGs in memory to vectors by the same MobileNetV2, decoding included.",
        {
            "pipeline": "`transformers`' image-feature-extraction pipeline, small photos",
            "large": "the same, photos of 12 megapixels",
        },
        "The pipeline takes any network that transformers knows, and a GPU where there is one.",
        ("--photos", "60"),
    ),
    Chosen(
        "embed_job",
        "Embedding a table",
        "A Parquet file to a table of vectors by the same network, from a process that has it "
        "loaded.",
        {
            "mltransform": "Beam's `MLTransform`, with its defaults",
            "mltransform_tuned": "Beam's `MLTransform`, batches of 256",
            "script": "a script of pandas and sentence-transformers",
        },
        "MLTransform is a step in any Beam pipeline, over streams and on every runner, with other "
        "transforms (scaling, vocabularies) in one artifact. The script is five lines that "
        "everybody can read.",
        ("--rows", "400", "--rounds", "3", "--fake-rows", "20000"),
        150,
    ),
    Chosen(
        "script_nights",
        "A nightly job",
        "Processes as cron starts them, start-up included; on the second night one row in fifty "
        "is new.",
        {
            "first": "a script of pandas and sentence-transformers, first night",
            "second": "the script, second night: everything again",
            "second_kept": "the script, second night: keeps yesterday's vectors by text",
        },
        "The script that keeps its vectors does most of what a small table needs, with nothing to "
        "install or declare. It keeps no history, so that no training frame as of a past moment "
        "can be made of it; it does not notice another network; and where it is killed while it "
        "writes, yesterday's file is gone.",
        ("--rows", "600", "--rounds", "3"),
        200,
    ),
    Chosen(
        "skrub_folds",
        "What a text brings a model",
        "R² of XGBoost in the same grouped folds, same handcrafted columns, same network, and the "
        "seconds to make the columns of all folds. A ratio of scores has for its spread the "
        "corrected 95 % interval of the difference.",
        {
            "listings_LLMEncoder_score": "skrub's `LLMEncoder`, real listings: score",
            "listings_LLMEncoder_time": "skrub's `LLMEncoder`, real listings: time",
            "listings_StringEncoder_score": "skrub's `StringEncoder`, real listings: score",
            "listings_StringEncoder_time": "skrub's `StringEncoder`, real listings: time",
            "marketplace_LLMEncoder_score": "skrub's `LLMEncoder`, generated marketplace: score",
            "marketplace_LLMEncoder_time": "skrub's `LLMEncoder`, generated marketplace: time",
            "marketplace_StringEncoder_score": "skrub's `StringEncoder`, generated marketplace: "
            "score",
            "marketplace_StringEncoder_time": "skrub's `StringEncoder`, generated marketplace: "
            "time",
        },
        "skrub is one line in a scikit-learn pipeline, for every kind of column, without a store. "
        "`LLMEncoder` (`TextEncoder` before 0.11) takes less time once its vectors are computed "
        "ahead, which is what deepfeast does. `StringEncoder` runs no network at all, and counts "
        "parts of words, which tells misspellings and codes apart: where it scores as well, take "
        "it.",
        seconds=240,
    ),
    Chosen(
        "training_join",
        "Features beside labels, as of their time",
        "From a Parquet file of features to a frame or a matrix of every label. Feast's default "
        "store drops labels that have no features; those it keeps are compared.",
        {
            "feast_file": "`get_historical_features`, Feast's default store (dask)",
            "feast_duckdb": "`get_historical_features`, Feast's duckdb store",
            "polars": "a bare `join_asof` of polars, to a matrix",
            "pandas": "a bare `merge_asof` of pandas, to a matrix",
            "duckdb": "a bare `ASOF JOIN` of DuckDB, to a matrix",
            "memory_polars": "memory: `join_asof` of polars",
        },
        "polars, pandas and DuckDB join frames that come from anywhere, by any condition, and need "
        "no registry; they were given nothing to do about ttl or created timestamps here, and on a "
        "few hundred labels polars and pandas are done sooner. Feast's stores were asked through "
        "Feast, ours as well.",
        ("--rounds", "3", "--dask-rounds", "2"),
        160,
    ),
    Chosen(
        "materialize",
        "Filling the online store",
        "`feast materialize` from a Parquet file into an empty store; what is in it afterwards is "
        "the same to the byte.",
        {
            "feast": "Feast's local engine, SQLite",
            "feast_redis": "Feast's local engine, Redis",
        },
        "Feast's engine needs no Beam, works with every online store that Feast knows, and is done "
        "sooner with a few hundred rows.",
        seconds=150,
    ),
    Chosen(
        "online_lookup",
        "Looking rows up",
        "From entity keys to the float32 matrix that a model reads.",
        {
            "k1": "Feast's `get_online_features`, SQLite, 1 row",
            "k100": "Feast's `get_online_features`, SQLite, 100 rows",
            "redis_k1": "Feast's `get_online_features`, Redis, 1 row",
            "redis_k100": "Feast's `get_online_features`, Redis, 100 rows",
        },
        "Feast's SDK returns typed values with their status and time, runs on-demand views, and "
        "reads every online store it knows; ours returns what a model reads.",
        seconds=60,
    ),
    Chosen(
        "warehouse",
        "Beside PostgreSQL",
        "The same questions where the rows lie in a PostgreSQL on the same machine.",
        {
            "join": "Feast's postgres store, point-in-time join",
            "read": "Feast's postgres store, raw texts out of a table: time",
            "read_memory": "Feast's postgres store, raw texts out of a table: memory",
            "materialize": "Feast's local engine into PostgreSQL",
            "lookup": "Feast's `get_online_features` from PostgreSQL, 100 rows",
            "lookup_k1": "Feast's `get_online_features` from PostgreSQL, 1 row",
        },
        "Feast's store leaves the join to the server, which is right where the labels lie there "
        "as well and the table is far larger than what they ask for; on a few hundred rows it is "
        "done sooner, too.",
        ("--texts", "20000"),
        200,
    ),
)
