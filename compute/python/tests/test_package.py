"""The installed package against the demo: what it reads is what `compute inspect` prints, and the tour runs."""

import json
import os
import tempfile
import unittest
import urllib.request
from pathlib import Path

import numpy as np
import sae_vis_rs as sae_vis

DEMO = Path(os.environ["SAE_VIS_DEMO"])
BUNDLE = Path(os.environ["SAE_VIS_BUNDLE"])
TOUR = Path(__file__).parent.parent / "tour.ipynb"


class Reading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = sae_vis.open(BUNDLE)

    def inspected(self, feature):
        return json.loads(sae_vis.compute("inspect", BUNDLE, "--feature", feature, "--json"))

    def test_features_are_those_that_inspect_prints(self):
        for number in (0, 4, 1000, 2047):
            feature, expected = self.bundle.feature(number), self.inspected(number)
            self.assertEqual(feature.feature, number)
            self.assertEqual(feature.n_active, expected["stats"]["n_active"])
            self.assertAlmostEqual(feature.max, expected["stats"]["max"], places=5)
            groups = [group for group in expected["groups"] if group["examples"]]
            theirs = [example for group in groups for example in group["examples"]]
            ours = feature.examples()
            self.assertEqual(len(ours), len(theirs), number)
            for own, other in zip(ours, theirs):
                self.assertEqual((own["row"], own["position"]), (other["row"], other["position"]))
                ids = [token["token_id"] for token in other["tokens"]]
                self.assertEqual(own["token_ids"].tolist(), ids)
                self.assertEqual(other["tokens"][own["bold"]]["position"], own["position"])

    def test_windows_are_parts_of_the_corpus(self):
        tokens = self.bundle.tokens
        self.assertEqual(tokens.shape, (5727, 128))
        for example in self.bundle.feature(4).examples():
            row, first = tokens[example["row"]], example["position"] - example["bold"]
            window = row[first : first + len(example["token_ids"])]
            self.assertEqual(window.tolist(), example["token_ids"].tolist())

    def test_activations_are_those_of_the_examples(self):
        rows, positions, values = self.bundle.activations(4)
        at = {(int(r), int(p)): v for r, p, v in zip(rows, positions, values)}
        shown = [example for example in self.bundle.feature(4).examples() if example["act"] > 0]
        self.assertGreater(len(shown), 20)
        for example in shown:
            self.assertAlmostEqual(at[example["row"], example["position"]], example["act"], delta=2e-3)

    def test_the_table_has_every_feature(self):
        index = self.bundle.index
        self.assertEqual(index["feature"].tolist(), self.bundle.features.tolist())
        feature = self.bundle.feature(4)
        self.assertAlmostEqual(float(index["max"][4]), feature.max, places=5)
        table = self.bundle.table()
        self.assertEqual(len(table), 2048)
        self.assertIn(self.bundle.text(index["active_tokens"][4][0]), table.loc[4, "active_tokens"])

    def test_what_is_not_there_is_named(self):
        with self.assertRaisesRegex(KeyError, "no feature 5000"):
            self.bundle.feature(5000)
        with self.assertRaisesRegex(FileNotFoundError, "no bundle here"):
            sae_vis.open(DEMO)
        with self.assertRaisesRegex(sae_vis.ComputeError, "could not open the model"):
            sae_vis.run(model="nowhere", sae=DEMO / "sae-resid", data=DEMO / "tokens.npy", out="unused")


class Writing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        rng = np.random.default_rng(0)
        self.tokens = rng.integers(0, 50, (20, 16))
        self.acts = rng.exponential(size=(20, 16, 6)).astype(np.float32) * (rng.random((20, 16, 6)) < 0.1)

    def made(self, acts, **options):
        folder = sae_vis.write_activations(self.folder / "acts", self.tokens, acts, **options)
        return sae_vis.run(acts=folder, out=self.folder / "bundle")

    def check(self, bundle):
        flat = self.acts.reshape(-1, 6)
        for i in range(6):
            feature = bundle.feature(i)
            self.assertEqual(feature.n_active, np.count_nonzero(flat[:, i]))
            self.assertAlmostEqual(feature.max, flat[:, i].max(), places=5)
        best = bundle.feature(2).examples()[0]
        self.assertEqual(best["row"] * 16 + best["position"], int(flat[:, 2].argmax()))
        self.assertEqual(bundle.tokens.tolist(), self.tokens.tolist())

    def test_dense_and_sparse_activations_make_the_same_bundle(self):
        self.check(self.made(self.acts, vocab=[f"t{i}" for i in range(50)], name="probe"))
        flat = self.acts.reshape(-1, 6)
        positions, features = np.nonzero(flat)
        shuffled = np.random.default_rng(1).permutation(len(positions))
        entries = tuple(a[shuffled] for a in (positions, features, flat[positions, features]))
        self.check(self.made(entries, n_features=6))

    def test_what_is_known_is_shown(self):
        rng = np.random.default_rng(2)
        decoder, logits = rng.normal(size=(6, 8)), rng.normal(size=(6, 50))
        bundle = self.made(self.acts, decoder=decoder, logits=logits, hook_acts=rng.normal(size=(320, 5)))
        feature = bundle.feature(1)
        self.assertEqual(feature.top_logits[0][0], int(logits[1].argmax()))
        self.assertEqual(feature.tables["neuron_alignment"][0][0], int(decoder[1].argmax()))
        self.assertEqual(len(feature.tables["correlated_neurons"]), 3)
        self.assertEqual(self.made(self.acts).feature(1).top_logits, [])

    def test_wrong_shapes_are_refused(self):
        for acts, options, why in [
            (self.acts[:3], {}, "acts has 48 positions, the tokens 320"),
            (self.acts, {"logits": np.zeros((5, 50))}, r"logits has shape \(5, 50\), expected \[6"),
            (tuple(np.zeros(3, int) for _ in range(3)), {}, "n_features is needed"),
            ((np.zeros(2, int), np.zeros(2, int), np.ones(2)), {"n_features": 6}, "two activations at position 0"),
        ]:
            with self.assertRaisesRegex(ValueError, why):
                sae_vis.write_activations(self.folder / "wrong", self.tokens, acts, **options)
        self.assertFalse((self.folder / "wrong").exists())


class Showing(unittest.TestCase):
    def test_a_page_is_served_and_a_page_is_put_into_the_cell(self):
        shown = sae_vis.show(BUNDLE, 4)
        self.assertIn("#/feature/4", shown._repr_html_())
        with urllib.request.urlopen(shown.url.split("#")[0]) as answer:
            self.assertIn(b"sae-vis", answer.read())
        inline = sae_vis.show(BUNDLE, 4, inline=True, features="0..32")._repr_html_()
        self.assertIn("srcdoc=", inline)
        self.assertLess(len(inline), 4_000_000)

    def test_the_tour_runs_from_top_to_bottom(self):
        cells = [cell for cell in json.loads(TOUR.read_text())["cells"] if cell["cell_type"] == "code"]
        self.assertEqual(len(cells), 10)
        with tempfile.TemporaryDirectory() as folder:
            before = os.getcwd()
            os.chdir(folder)
            try:
                names = {"__name__": "__main__"}
                os.environ["SAE_VIS_DEMO"] = str(DEMO)
                for cell in cells:
                    exec(compile("".join(cell["source"]), "tour", "exec"), names)
            finally:
                os.chdir(before)


if __name__ == "__main__":
    unittest.main()
