//! Benches of `compute`'s kernels and of the bundle's files: `cargo xtask bench`. Figures are in `README.md`.
