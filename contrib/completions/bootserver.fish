complete -c bootserver -s t -l timeout -d 'Fail if no sled that is served has been heard from for this long, counted from the start and from each frame' -r
complete -c bootserver -l image -d 'Another image, or a folder of images. Each sled is offered one after another until it takes one, starting with the one that it took last time' -r -F
complete -c bootserver -l assign -d 'Offer the sled MAC the image PATH and no other. LINK/MAC=PATH applies to that sled on that link, and takes precedence' -r
complete -c bootserver -l config -d 'Read from FILE, in TOML, what to serve to whom; the command line overrides it. SIGHUP reads it again' -r -F
complete -c bootserver -l state -d 'Keep in FILE which sled, by link and address, took which image, and read it at the start' -r -F
complete -c bootserver -l tx -d 'How frames leave: `auto` picks the cheapest path that works here, `mmsg` (sendmmsg) works everywhere, `uring` needs io_uring, `xdp` AF_XDP. Only `xdp` attaches an XDP program to a card that needs one for zero-copy, which resets most cards at the start and at the end. [default: auto]' -r
complete -c bootserver -l workers -d 'Threads that serve each link; the kernel spreads the sleds among them. The default is half the number of cores, shared by the links, and 1 for a single sled' -r
complete -c bootserver -l user -d 'Become this user once links and sockets are open. Only root can; a server started by another user keeps no privilege either' -r -f -a "(__fish_complete_users)"
complete -c bootserver -l rate -d 'How fast to send on each link: `auto` finds the rate that the link carries, in all and to each sled; a rate such as 9.4Gbit sets a limit on top; `max` sends as fast as the link takes frames, however many are lost behind it. LINK=RATE applies to that link, and takes precedence; may be given several times. [default: auto]' -r
complete -c bootserver -l gather -d 'How long sleds wait for others, from the first HELLO on. [default: 6]' -r
complete -c bootserver -l expect -d 'Wait no longer once N sleds are there; if several MACs are named, N is their number' -r
complete -c bootserver -l cache -d 'Keep in DIR what is fetched. An image may be a URL then: https://, http://, s3://BUCKET/KEY or file:///; one that ends in .channel is a signed list of images, one in `/` a folder of them, and one in #sha256=SUM the image with this checksum and no other' -r -f -a "(__fish_complete_directories)"
complete -c bootserver -l cache-size -d 'How much all images in the cache may take; images that are no longer in service are removed to make room, the oldest first. [default: 16GiB]' -r
complete -c bootserver -l refresh -d 'How often to look for something newer at each URL; SIGHUP looks at once. [default: 60]' -r
complete -c bootserver -l channel-key -d 'A minisign key that signs channels, or a file of one; may be given several times' -r
complete -c bootserver -l log -d 'How the log looks: `text` for people, `json` for programs, a record per line. [default: text]' -r -f -a "text\t'Words for people'
json\t'Records for programs'"
complete -c bootserver -l log-level -d 'Log events of this level and more severe ones. [default: info]' -r -f -a "error\t'The tool can\'t go on'
warn\t'Something needs attention'
info\t'What happens in normal operation'
debug\t'Everything, including what happens again and again'"
complete -c bootserver -l on-finish -d 'Run CMD with sh after each boot, with the sled\'s facts in its environment (BOOT_SLED, BOOT_IMAGE and others); four at once, each for 30 s at most' -r -f -a "(__fish_complete_command)"
complete -c bootserver -l on-fail -d 'Run CMD in the same way after each boot that has failed' -r -f -a "(__fish_complete_command)"
complete -c bootserver -l status -d 'Show the rack to browsers, programs and monitoring at ADDRESS, such as 127.0.0.1:7270, or on a Unix socket, the path of which has a `/` in it. Anyone who can reach it can read everything' -r
complete -c bootserver -s s -l stop -d 'Exit with success once the boot is done: that of each named address or, with `all`, once at least one sled has booted and none is booting. If only one sled is served, a missing image or an unexpected READ is a failure'
complete -c bootserver -l check-config -d 'Check the configuration, print what would be served, and exit'
complete -c bootserver -l map -d 'Map images instead of reading them into memory, for machines that are short of it. A file in service may then be replaced, but not written to: the new bytes would be sent, and cutting the file short ends the boots that need the rest. Compressed images are read into memory all the same'
complete -c bootserver -l share-link -d 'Serve LINK even if another process on this host already does: sleds that both serve are answered twice. (Only Linux refuses such a second start.)'
complete -c bootserver -l together -d 'Boot sleds that want the same image in step: each batch is broadcast once, to all of them. For a segment that is theirs alone: every other port of it gets these frames too. Where it would be slower, sleds are served one by one'
complete -c bootserver -s q -l quiet -d 'Log nothing about individual sleds'
complete -c bootserver -l demo -d 'Boot simulated sleds (8, or SLEDS) from IMAGE, or from an image made on the spot, over a segment inside this process, in real time; needs neither root nor hardware'
complete -c bootserver -l control -d 'Have those who can write to the Unix socket of --status assign images to sleds'
complete -c bootserver -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bootserver -s V -l version -d 'Print version'
