"""The `countermark` command, one file per noun."""
