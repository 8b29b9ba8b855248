"""How the checks of a stage become one verdict."""
