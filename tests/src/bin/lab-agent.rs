//! The helper program of the test lab; see `tests::lab::agent`.

fn main() -> anyhow::Result<()> {
    tests::lab::agent::main()
}
