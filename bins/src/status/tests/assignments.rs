//! What can be assigned, and by which clients.

use super::*;

const PATH: &str = "/api/v1/assignments";

#[test]
fn every_answer_to_an_order_is_as_the_description_has_it() {
    let trial = Trial::new();
    let description = openapi()["paths"][PATH]["post"].clone();
    let long = format!("{{\"sled\": \"left\", \"image\": \"{}\"}}", "x".repeat(8192));
    for (order, expected) in [
        ("{\"sled\": \"left\", \"image\": \"zfs.img\", \"once\": true}", 200),
        ("{\"sled\": \"left\", \"image\": \"zfs.img\"}", 200),
        ("{\"sled\": \"left\", \"image\": null}", 200),
        ("{\"sled\": \"left\"}", 400),
        ("{\"sled\": \"left\", \"image\": 7}", 400),
        ("{\"sled\": \"left\", \"image\": \"zfs.img\", \"once\": \"yes\"}", 400),
        ("{\"sled\": \"left\", \"image\": \"zfs.img\", \"forever\": true}", 400),
        ("sled=left", 400),
        ("", 400),
        (&long, 400),
        ("{\"sled\": \"nobody\", \"image\": \"zfs.img\"}", 404),
        ("{\"sled\": \"other\", \"image\": \"zfs.img\"}", 409),
    ] {
        let (status, head, body) = trial.send("POST", PATH, order);
        assert_eq!(status, expected, "{order}: {body}");
        let answer = &description["responses"][status.to_string()];
        let (kind, _) = answer["content"].as_object().unwrap().iter().next().unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{order}: {head}");
        if status == 200 {
            let value: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(faults("Assignments", &value), [""; 0], "{body}");
        }
        // The schema accepts exactly what the server accepts, except for its length.
        let value = serde_json::from_str(order).unwrap_or(Value::Null);
        let described = faults("Order", &value).is_empty();
        assert_eq!(described, status != 400 || order == long, "{order}");
    }
}

#[test]
fn without_control_nothing_can_be_assigned() {
    let (folder, order) = (tempfile::tempdir().unwrap(), "{\"sled\": \"left\", \"image\": null}");
    let socket = folder.path().join("status");
    let address = StatusAddress::Unix(socket.clone());
    let service = Service::start(
        Bound::bind(&address).unwrap(),
        Arc::default(),
        Metrics::default(),
        desk(false),
    );
    let trial = Trial { _service: service.unwrap(), socket, rack: Arc::default(), folder };
    let (status, _, why) = trial.send("POST", PATH, order);
    assert_eq!((status, &*why), (403, "this server was started without --control\n"));
    assert!(openapi()["paths"][PATH]["post"]["responses"]["403"].is_object());
    assert!(trial.get(PATH).contains("\"left\""), "what is assigned is shown all the same");
}

#[test]
fn when_nobody_can_assign_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("status");
    let address = StatusAddress::Unix(socket.clone());
    let desk = Desk { control: Control::new().0, writable: true };
    let service =
        Service::start(Bound::bind(&address).unwrap(), Arc::default(), Metrics::default(), desk);
    let trial = Trial { _service: service.unwrap(), socket, rack: Arc::default(), folder };
    assert_eq!(trial.ask("GET", PATH).0, 503);
    assert_eq!(trial.send("POST", PATH, "{\"sled\": \"left\", \"image\": null}").0, 503);
    for method in ["get", "post"] {
        assert!(openapi()["paths"][PATH][method]["responses"]["503"].is_object());
    }
}
