#compdef retaind

autoload -U is-at-least

_retaind() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_retaind_commands" \
"*::: :->retaind" \
&& ret=0
    case $state in
    (retaind)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:retaind-command-$line[1]:"
        case $line[1] in
            (plan)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--policy=[Only this policy]:NAME:_default' \
'--registry=[Only this registry, by its name in the settings]:NAME:_default' \
'--inventory=[Take a saved listing instead of asking the registry]:FILE:_files' \
'--at=[Reckon ages to this time, e.g. 2026-01-01T00\:00\:00Z, or +30d for thirty days from now]:TIME:_default' \
'--output=[How to print]:OUTPUT:((text\:"For a terminal"
json\:"For machines, and for \`retaind apply\`"
markdown\:"For a review"))' \
'(--all)--diff=[Show what differs from the policies in this file or folder\: what would newly go, and what no longer would]:OLD_POLICIES:_files' \
'--all[Print every image that stays, too, with its reasons]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--accept=[Accept the plan with this hash although it is over a limit]:PLAN_HASH:_default' \
'-h[Print help]' \
'--help[Print help]' \
':plan -- A plan that `retaind plan --output json` printed:_files' \
&& ret=0
;;
(run)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--policy=[Only this policy]:NAME:_default' \
'--registry=[Only this registry, by its name in the settings]:NAME:_default' \
'--accept=[Approve the plan with this hash and apply it, although it is over a limit or of changed policies]:PLAN_HASH:_default' \
'--once[Run every policy once, now, and end; without it, run each at its time until told to stop]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(pause)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(resume)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(approve)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'-h[Print help]' \
'--help[Print help]' \
':plan -- The plan'\''s hash, as reports, logs and `retaind history` show it:_default' \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--run=[Only changes of this run]:NUMBER:_default' \
'--registry=[Only changes in this registry]:NAME:_default' \
'--repository=[Only changes in this repository]:NAME:_default' \
'--digest=[Only changes of this manifest]:DIGEST:_default' \
'--limit=[So many, the newest first]:NUMBER:_default' \
'--output=[How to print]:OUTPUT:((text\:"For a terminal"
json\:"For machines\: one document a line"))' \
'--changes[Show changes instead of runs]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--policy=[Only this policy]:NAME:_default' \
'--registry=[Only this registry, by its name in the settings]:NAME:_default' \
'--inventory=[Take a saved listing instead of asking the registry]:FILE:_files' \
'--at=[Reckon ages to this time, e.g. 2026-01-01T00\:00\:00Z, or +30d for thirty days from now]:TIME:_default' \
'-h[Print help]' \
'--help[Print help]' \
':image -- An image\: repository\:tag or repository@sha256\:…:_default' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--output=[How to print]:OUTPUT:((text\:"For a terminal"
json\:"For machines"
github\:"Annotations for GitHub Actions"))' \
'--live[Ask the registries, too\: which patterns match nothing there?]' \
'--deny-warnings[End with exit code 1 when there is a warning]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(test)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--output=[How to print]:OUTPUT:((text\:"For a terminal"
json\:"For machines"
github\:"Annotations for GitHub Actions"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'*::files -- Files of tests; without any, the *.test.yaml beside the policies:_files' \
&& ret=0
;;
(inventory)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file]:FILE:_files' \
'--policy=[Only this policy]:NAME:_default' \
'--registry=[Only this registry, by its name in the settings]:NAME:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
'--url=[What to ask; /livez asks whether it is alive, /readyz?verbose shows every check]:URL:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(demo)
_arguments "${_arguments_options[@]}" : \
'--once[Run each policy once, show what it did, and end; without it, the daemon runs until Ctrl-C]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(emulate)
_arguments "${_arguments_options[@]}" : \
'--listen=[Where to listen; loopback addresses only]:ADDRESS:_default' \
'--seed=[Draw this registry first (the format is in docs/emulator.md)]:FILE:_files' \
'--admin-password-file=[Accept the admin user, whose name is the first label of the host name or \`admin\`, with the password in this file]:FILE:_files' \
'--push-age=[Stamp pushes this far in the past, e.g. 40d, so that they are old enough to be cleaned]:AGE:_default' \
'--tls-dir=[Serve HTTPS, and write the certificate authority to DIR/ca.pem]:DIR:_files' \
'*--tls-name=[A further name for the certificate]:NAME:_default' \
'--admin-listen=[Serve the admin endpoint here, over plain HTTP\: counts, faults, roles, reset; loopback addresses only]:ADDRESS:_default' \
'--roles=[Who has which roles (the format is in docs/emulator.md); whom it does not name may do everything]:FILE:_files' \
'--soft-delete=[What was deleted can be brought back for this long, e.g. 7d]:TIME:_default' \
'--listing-lag=[Lists show changes this much later than single items do]:TIME:_default' \
'--replica-listen=[Serve a replica here, which shows changes later; loopback addresses only]:ADDRESS:_default' \
'--replica-lag=[How much later the replica shows changes]:TIME:_default' \
'*--assume=[Answer an open question about the real registry otherwise than usual, e.g. no-tags=absent (docs/emulator.md lists them)]:NAME=ANSWER:_default' \
'--max-connections=[How many connections may be open at once]:COUNT:_default' \
'--clock-skew=[How far the registry'\''s clock is ahead, e.g. 10m or -10m]:TIME:_default' \
'--latency=[How long every answer takes at least, e.g. 30ms]:TIME:_default' \
'--faults=[Make requests go wrong as this script says (the format is in docs/emulator.md)]:FILE:_files' \
'--sku=[Let through only what this service tier does\: basic, standard or premium; without it, everything]:TIER:_default' \
'--retry-after=[What the first 429 tells clients to wait; with 0s, no longer than the bucket needs]:TIME:_default' \
'--open[Ask for no token at all]' \
'--anonymous-pull[Let everybody read]' \
'--no-blob-redirect[Serve blobs at once instead of sending their readers on to a storage, as the real registry does]' \
'--abac[Authorise by repository (ABAC)\: only the repository roles count, and no scope of all repositories]' \
'--quarantine[Keep what is pushed in quarantine until the admin endpoint lets it pass]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::of -- Of which file:((policies\:"Policy files"
settings\:"retaind.yaml"
tests\:"Tests of policies"))' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':shell -- For which shell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(manual)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'::of -- Of which command; left out, of the program:_default' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_retaind_commands] )) ||
_retaind_commands() {
    local commands; commands=(
'plan:Show what would be done and why; change nothing' \
'apply:Carry out a reviewed plan\: what is in it and still holds' \
'run:Run the policies' \
'pause:Pause deleting at once, in every run that uses this state; planning goes on' \
'resume:Let deleting go on' \
'approve:Approve a plan that a run reported\: of changed policies, over a limit, or of a listing that shrank' \
'history:Show what was run, or what was changed and why' \
'explain:Say why an image stays or goes, and from when on it would go' \
'check:Check the settings and policies' \
'test:Play the tests written beside the policies\: given these images, expect these verdicts' \
'inventory:Save a listing of a registry, to plan from it later or elsewhere' \
'health:Ask a running daemon whether it is ready; exit code 0 or 1' \
'demo:Show the daemon, or one run, on an embedded registry' \
'emulate:Serve an in-memory imitation of Azure Container Registry' \
'schema:Print the JSON Schema of the policies, the settings or the tests, for editors' \
'completions:Print what a shell needs to complete the arguments' \
'manual:Print the manual page of the program or of one command' \
    )
    _describe -t commands 'retaind commands' commands "$@"
}
(( $+functions[_retaind__subcmd__apply_commands] )) ||
_retaind__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'retaind apply commands' commands "$@"
}
(( $+functions[_retaind__subcmd__approve_commands] )) ||
_retaind__subcmd__approve_commands() {
    local commands; commands=()
    _describe -t commands 'retaind approve commands' commands "$@"
}
(( $+functions[_retaind__subcmd__check_commands] )) ||
_retaind__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'retaind check commands' commands "$@"
}
(( $+functions[_retaind__subcmd__completions_commands] )) ||
_retaind__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'retaind completions commands' commands "$@"
}
(( $+functions[_retaind__subcmd__demo_commands] )) ||
_retaind__subcmd__demo_commands() {
    local commands; commands=()
    _describe -t commands 'retaind demo commands' commands "$@"
}
(( $+functions[_retaind__subcmd__emulate_commands] )) ||
_retaind__subcmd__emulate_commands() {
    local commands; commands=()
    _describe -t commands 'retaind emulate commands' commands "$@"
}
(( $+functions[_retaind__subcmd__explain_commands] )) ||
_retaind__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'retaind explain commands' commands "$@"
}
(( $+functions[_retaind__subcmd__health_commands] )) ||
_retaind__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'retaind health commands' commands "$@"
}
(( $+functions[_retaind__subcmd__history_commands] )) ||
_retaind__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'retaind history commands' commands "$@"
}
(( $+functions[_retaind__subcmd__inventory_commands] )) ||
_retaind__subcmd__inventory_commands() {
    local commands; commands=()
    _describe -t commands 'retaind inventory commands' commands "$@"
}
(( $+functions[_retaind__subcmd__manual_commands] )) ||
_retaind__subcmd__manual_commands() {
    local commands; commands=()
    _describe -t commands 'retaind manual commands' commands "$@"
}
(( $+functions[_retaind__subcmd__pause_commands] )) ||
_retaind__subcmd__pause_commands() {
    local commands; commands=()
    _describe -t commands 'retaind pause commands' commands "$@"
}
(( $+functions[_retaind__subcmd__plan_commands] )) ||
_retaind__subcmd__plan_commands() {
    local commands; commands=()
    _describe -t commands 'retaind plan commands' commands "$@"
}
(( $+functions[_retaind__subcmd__resume_commands] )) ||
_retaind__subcmd__resume_commands() {
    local commands; commands=()
    _describe -t commands 'retaind resume commands' commands "$@"
}
(( $+functions[_retaind__subcmd__run_commands] )) ||
_retaind__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'retaind run commands' commands "$@"
}
(( $+functions[_retaind__subcmd__schema_commands] )) ||
_retaind__subcmd__schema_commands() {
    local commands; commands=()
    _describe -t commands 'retaind schema commands' commands "$@"
}
(( $+functions[_retaind__subcmd__test_commands] )) ||
_retaind__subcmd__test_commands() {
    local commands; commands=()
    _describe -t commands 'retaind test commands' commands "$@"
}

if [ "$funcstack[1]" = "_retaind" ]; then
    _retaind "$@"
else
    compdef _retaind retaind
fi
