# supervise completion for fish
complete -c supervise -f
complete -c supervise -n __fish_use_subcommand -a check -d 'print every problem of a configuration'
complete -c supervise -n __fish_use_subcommand -a schema -d 'print its JSON Schema'
complete -c supervise -n __fish_use_subcommand -a compile -d 'write the validated plan beside it, for a faster start'
complete -c supervise -n __fish_use_subcommand -a explain-config -d 'print it with every default filled in'
complete -c supervise -n '__fish_seen_subcommand_from check compile explain-config' -F
complete -c supervise -l config -s c -r -F -d 'a configuration file or directory; repeatable'
complete -c supervise -l rewrite -x -d 'treat signal FROM as TO; TO 0 drops it; repeatable'
complete -c supervise -l remap-exit -x -d 'exit with TO when the main command exits with FROM; repeatable'
complete -c supervise -l no-group -d 'forward signals to the main command alone, not to its process group'
complete -c supervise -l help -s h -d 'show this'
complete -c supervise -l version -s V -d 'show the version'
