//! `--check-config`, and configurations that are refused.

mod tool;

use crate::tool::Desk;

#[test]
fn what_would_be_served_is_said_and_what_is_wrong_is_refused() {
    let mut desk = Desk::new();
    assert!(desk.pipe("mkimage -q -i raw -o zfs.img -N ci").status.success());
    assert!(desk.pipe("mkimage -q -i raw -o recovery.img -N recovery").status.success());
    let good = "links = [\"lo\"]\nimages = [\"zfs.img\"]\nworkers = 1\n";
    let sled = "[[sled]]\nmac = \"a8:40:25:0:0:1\"\nname = \"left\"\nonce = \"recovery.img\"\n";
    let listed = format!("serve = \"listed\"\n{sled}");
    for (name, text) in [
        ("good.toml", format!("{good}{sled}")),
        ("listed.toml", format!("links = [\"lo\"]\n{listed}image = \"zfs.img\"\n")),
        ("empty.toml", String::new()),
        ("faults.toml", "links = \"lo\"\nimags = []\nrate = \"fast\"\n[[sled]]\n".to_owned()),
        ("syntax.toml", "links = [\"lo\"]\nimages = \n".to_owned()),
        ("no-image.toml", good.replace("zfs", "lost")),
        ("bad-image.toml", good.replace("zfs.img", "raw")),
        ("other-link.toml", format!("{good}{sled}link = \"net7\"\n")),
        ("nobody.toml", format!("{good}serve = \"listed\"\n")),
        ("alone.toml", format!("{good}{listed}[together]\n")),
        ("both.toml", format!("{good}[together]\n").replace('1', "2")),
    ] {
        desk.write(name, text.as_bytes());
        desk.run(&format!("bootserver --check-config --config {name}"));
    }
    for line in [
        "bootserver --check-config --config missing.toml",
        "bootserver --check-config",
        "bootserver --check-config --config good.toml --rate 1Gbit lo recovery.img 2:0:0:0:0:1",
        "bootserver --check-config --config good.toml --assign a8:40:25:0:0:1=zfs.img",
        "bootserver --config good.toml --demo",
    ] {
        desk.run(line);
    }
    desk.assert_golden("check-config.txt");
    desk.write("no-link.toml", good.replace("lo", "nowhere0").as_bytes());
    let output = desk.run("bootserver --check-config --config no-link.toml");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("bootserver: nowhere0: no such link"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
