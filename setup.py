"""Map the root folders to the import name: ``transforms/join.py`` is ``deepfeast.transforms.join``.

Everything else about the package is declared in ``pyproject.toml``.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *(f"deepfeast.{name}" for name in find_packages(include=["transforms*", "pipelines*"])),
        # Not code to import: the repo that `deepfeast demo` starts from.
        "deepfeast.feature_repo",
    ],
    package_dir={"deepfeast": "."},
)
