# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_retaind_global_optspecs
    string join \n h/help V/version
end

function __fish_retaind_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_retaind_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_retaind_using_subcommand
    set -l cmd (__fish_retaind_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c retaind -n "__fish_retaind_needs_command" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_needs_command" -s V -l version -d 'Print version'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "plan" -d 'Show what would be done and why; change nothing'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "apply" -d 'Carry out a reviewed plan: what is in it and still holds'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "run" -d 'Run the policies'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "pause" -d 'Pause deleting at once, in every run that uses this state; planning goes on'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "resume" -d 'Let deleting go on'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "approve" -d 'Approve a plan that a run reported: of changed policies, over a limit, or of a listing that shrank'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "history" -d 'Show what was run, or what was changed and why'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "explain" -d 'Say why an image stays or goes, and from when on it would go'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "check" -d 'Check the settings and policies'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "test" -d 'Play the tests written beside the policies: given these images, expect these verdicts'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "inventory" -d 'Save a listing of a registry, to plan from it later or elsewhere'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "health" -d 'Ask a running daemon whether it is ready; exit code 0 or 1'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "demo" -d 'Show the daemon, or one run, on an embedded registry'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "emulate" -d 'Serve an in-memory imitation of Azure Container Registry'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "schema" -d 'Print the JSON Schema of the policies, the settings or the tests, for editors'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "completions" -d 'Print what a shell needs to complete the arguments'
complete -c retaind -n "__fish_retaind_needs_command" -f -a "manual" -d 'Print the manual page of the program or of one command'
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l policy -d 'Only this policy' -r
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l registry -d 'Only this registry, by its name in the settings' -r
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l inventory -d 'Take a saved listing instead of asking the registry' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l at -d 'Reckon ages to this time, e.g. 2026-01-01T00:00:00Z, or +30d for thirty days from now' -r
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l output -d 'How to print' -r -f -a "text\t'For a terminal'
json\t'For machines, and for `retaind apply`'
markdown\t'For a review'"
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l diff -d 'Show what differs from the policies in this file or folder: what would newly go, and what no longer would' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand plan" -l all -d 'Print every image that stays, too, with its reasons'
complete -c retaind -n "__fish_retaind_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c retaind -n "__fish_retaind_using_subcommand apply" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand apply" -l accept -d 'Accept the plan with this hash although it is over a limit' -r
complete -c retaind -n "__fish_retaind_using_subcommand apply" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand run" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand run" -l policy -d 'Only this policy' -r
complete -c retaind -n "__fish_retaind_using_subcommand run" -l registry -d 'Only this registry, by its name in the settings' -r
complete -c retaind -n "__fish_retaind_using_subcommand run" -l accept -d 'Approve the plan with this hash and apply it, although it is over a limit or of changed policies' -r
complete -c retaind -n "__fish_retaind_using_subcommand run" -l once -d 'Run every policy once, now, and end; without it, run each at its time until told to stop'
complete -c retaind -n "__fish_retaind_using_subcommand run" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand pause" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand pause" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand resume" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand resume" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand approve" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand approve" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand history" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand history" -l run -d 'Only changes of this run' -r
complete -c retaind -n "__fish_retaind_using_subcommand history" -l registry -d 'Only changes in this registry' -r
complete -c retaind -n "__fish_retaind_using_subcommand history" -l repository -d 'Only changes in this repository' -r
complete -c retaind -n "__fish_retaind_using_subcommand history" -l digest -d 'Only changes of this manifest' -r
complete -c retaind -n "__fish_retaind_using_subcommand history" -l limit -d 'So many, the newest first' -r
complete -c retaind -n "__fish_retaind_using_subcommand history" -l output -d 'How to print' -r -f -a "text\t'For a terminal'
json\t'For machines: one document a line'"
complete -c retaind -n "__fish_retaind_using_subcommand history" -l changes -d 'Show changes instead of runs'
complete -c retaind -n "__fish_retaind_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c retaind -n "__fish_retaind_using_subcommand explain" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand explain" -l policy -d 'Only this policy' -r
complete -c retaind -n "__fish_retaind_using_subcommand explain" -l registry -d 'Only this registry, by its name in the settings' -r
complete -c retaind -n "__fish_retaind_using_subcommand explain" -l inventory -d 'Take a saved listing instead of asking the registry' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand explain" -l at -d 'Reckon ages to this time, e.g. 2026-01-01T00:00:00Z, or +30d for thirty days from now' -r
complete -c retaind -n "__fish_retaind_using_subcommand explain" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand check" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand check" -l output -d 'How to print' -r -f -a "text\t'For a terminal'
json\t'For machines'
github\t'Annotations for GitHub Actions'"
complete -c retaind -n "__fish_retaind_using_subcommand check" -l live -d 'Ask the registries, too: which patterns match nothing there?'
complete -c retaind -n "__fish_retaind_using_subcommand check" -l deny-warnings -d 'End with exit code 1 when there is a warning'
complete -c retaind -n "__fish_retaind_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c retaind -n "__fish_retaind_using_subcommand test" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand test" -l output -d 'How to print' -r -f -a "text\t'For a terminal'
json\t'For machines'
github\t'Annotations for GitHub Actions'"
complete -c retaind -n "__fish_retaind_using_subcommand test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c retaind -n "__fish_retaind_using_subcommand inventory" -l config -d 'The settings file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand inventory" -l policy -d 'Only this policy' -r
complete -c retaind -n "__fish_retaind_using_subcommand inventory" -l registry -d 'Only this registry, by its name in the settings' -r
complete -c retaind -n "__fish_retaind_using_subcommand inventory" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand health" -l url -d 'What to ask; /livez asks whether it is alive, /readyz?verbose shows every check' -r
complete -c retaind -n "__fish_retaind_using_subcommand health" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand demo" -l once -d 'Run each policy once, show what it did, and end; without it, the daemon runs until Ctrl-C'
complete -c retaind -n "__fish_retaind_using_subcommand demo" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l listen -d 'Where to listen; loopback addresses only' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l seed -d 'Draw this registry first (the format is in docs/emulator.md)' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l admin-password-file -d 'Accept the admin user, whose name is the first label of the host name or `admin`, with the password in this file' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l push-age -d 'Stamp pushes this far in the past, e.g. 40d, so that they are old enough to be cleaned' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l tls-dir -d 'Serve HTTPS, and write the certificate authority to DIR/ca.pem' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l tls-name -d 'A further name for the certificate' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l admin-listen -d 'Serve the admin endpoint here, over plain HTTP: counts, faults, roles, reset; loopback addresses only' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l roles -d 'Who has which roles (the format is in docs/emulator.md); whom it does not name may do everything' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l soft-delete -d 'What was deleted can be brought back for this long, e.g. 7d' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l listing-lag -d 'Lists show changes this much later than single items do' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l replica-listen -d 'Serve a replica here, which shows changes later; loopback addresses only' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l replica-lag -d 'How much later the replica shows changes' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l assume -d 'Answer an open question about the real registry otherwise than usual, e.g. no-tags=absent (docs/emulator.md lists them)' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l max-connections -d 'How many connections may be open at once' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l clock-skew -d 'How far the registry\'s clock is ahead, e.g. 10m or -10m' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l latency -d 'How long every answer takes at least, e.g. 30ms' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l faults -d 'Make requests go wrong as this script says (the format is in docs/emulator.md)' -r -F
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l sku -d 'Let through only what this service tier does: basic, standard or premium; without it, everything' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l retry-after -d 'What the first 429 tells clients to wait; with 0s, no longer than the bucket needs' -r
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l open -d 'Ask for no token at all'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l anonymous-pull -d 'Let everybody read'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l no-blob-redirect -d 'Serve blobs at once instead of sending their readers on to a storage, as the real registry does'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l abac -d 'Authorise by repository (ABAC): only the repository roles count, and no scope of all repositories'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -l quarantine -d 'Keep what is pushed in quarantine until the admin endpoint lets it pass'
complete -c retaind -n "__fish_retaind_using_subcommand emulate" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c retaind -n "__fish_retaind_using_subcommand completions" -s h -l help -d 'Print help'
complete -c retaind -n "__fish_retaind_using_subcommand manual" -s h -l help -d 'Print help'
