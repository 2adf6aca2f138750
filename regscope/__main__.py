"""`python -m regscope`."""

from regscope.cli.main import main

if __name__ == "__main__":
    main()
