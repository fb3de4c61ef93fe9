//! The scenarios by which the server is judged.

use std::time::Duration;

use boot_image::Contents;

use super::{Faults, PortConfig, Scenario};

/// Named scenarios: queues of 64, 256 and 1024 frames, with a server as fast as its switch and with
/// one ten times as fast; losses of 0.01 to 5%; and sleds that are dead, slow, hostile or late.
/// Each has `sleds` sleds that boot `image`, at `rate` bits per second.
pub fn judged(sleds: u16, image: &Contents, rate: u64) -> Vec<(String, Scenario)> {
    let rack = Scenario::new(sleds, image.clone(), rate);
    let mut scenarios = Vec::new();
    for queue in [64, 256, 1024] {
        let port = PortConfig::new(rate, queue);
        let even = Scenario { server_port: port, trunk: port, sled_port: port, ..rack.clone() };
        let server_port = PortConfig::new(10 * rate, queue);
        let burst = Scenario { server_port, ..even.clone() };
        // The trunk is fast too, so the sleds' ports overflow.
        let ports = Scenario { server_port, trunk: server_port, ..even.clone() };
        scenarios.push((format!("queues of {queue}"), even));
        scenarios.push((format!("queues of {queue}, server 10 times as fast"), burst));
        scenarios.push((format!("queues of {queue}, server and trunk 10 times as fast"), ports));
    }
    for percent in [0.01, 0.1, 1.0, 5.0] {
        let faults = Faults::loss(percent / 100.0);
        scenarios.push((format!("{percent}% lost"), Scenario { faults, ..rack.clone() }));
    }
    let alone = Scenario { sleds: 1, faults: Faults::loss(0.001), ..rack.clone() };
    scenarios.push(("one sled alone, 0.1% lost".to_owned(), alone));
    scenarios.push(("one sled dead".to_owned(), Scenario { dead: 1, ..rack.clone() }));
    scenarios.push((
        "one sled at a tenth of the speed".to_owned(),
        Scenario { slow: 1, ..rack.clone() },
    ));
    scenarios.push(("one flooding".to_owned(), Scenario { flooding: 1, ..rack.clone() }));
    let flood = Scenario { flooding: 1, claimed: 1000, ..rack.clone() };
    scenarios.push(("one flooding as 1000 sleds".to_owned(), flood));
    let stagger = Duration::from_millis(500);
    scenarios.push(("half a second between starts".to_owned(), Scenario { stagger, ..rack }));
    scenarios
}
