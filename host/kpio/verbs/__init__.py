"""One module per verb: HELP, EXAMPLES, add_arguments(parser), execute(arguments) -> exit status."""
