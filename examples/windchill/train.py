"""python -m examples.windchill.train: fit the model to noisy measurements and write its folder."""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from examples.windchill.handler import Coefficients, Row, features

MODEL_FILE = "coefficients.json"
FOLDER = Path(__file__).parent / "model"
SEED = 7
MEASUREMENTS = 4000
NOISE_C = 0.5
TEMPERATURE_C = (-50.0, 10.0)
WIND_KM_H = (5.0, 100.0)
# the formula's own power of the wind, 0.16, is not among these; a cubic in the logarithm comes near it
POWERS = [(i, j) for i in (0, 1) for j in (0, 1, 2, 3)]
# fewer digits than a fit has, because its last bits differ between processors
DIGITS = 6


def wind_chill(weather: Row) -> Row:
    """Return the felt °C [n] for weather [n, 2] in °C and km/h, by the formula of Canada of 2001."""
    temperature, power = weather[:, 0], weather[:, 1] ** 0.16
    felt: Row = 13.12 + 0.6215 * temperature - 11.37 * power + 0.3965 * temperature * power
    return felt


def fit() -> Coefficients:
    """Return the least-squares fit to values of the formula with seeded noise."""
    chance = np.random.default_rng(SEED)
    weather = np.stack([chance.uniform(*among, MEASUREMENTS) for among in (TEMPERATURE_C, WIND_KM_H)], axis=1)
    felt = wind_chill(weather) + chance.normal(0, NOISE_C, MEASUREMENTS)
    fitted = np.linalg.lstsq(features(weather, POWERS), felt, rcond=None)[0]
    return Coefficients(
        powers=POWERS,
        coefficients=[round(value, DIGITS) for value in fitted.tolist()],
        temperature_c=TEMPERATURE_C,
        wind_km_h=WIND_KM_H,
    )


def write(folder: Path) -> None:
    """Write the coefficients, and the manifest that lists their digest."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(fit().model_dump(), indent=1).encode() + b"\n"
    (folder / MODEL_FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = {"name": "windchill", "version": "1", "files": {MODEL_FILE: {"sha256": digest}}}
    (folder / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def main() -> None:
    """Write the folder and say so."""
    parser = argparse.ArgumentParser(prog="python -m examples.windchill.train", description=__doc__)
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder to write")
    folder: Path = parser.parse_args().output
    write(folder)
    print(f"wrote {folder / MODEL_FILE} and {folder / 'model.json'}")


if __name__ == "__main__":
    main()
