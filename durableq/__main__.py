"""`python -m durableq`."""

from durableq.cli.main import main

if __name__ == "__main__":
    main()
