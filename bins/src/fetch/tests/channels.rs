//! Channels.

use minisign::KeyPair;

use super::super::channel::tests::{key_pair, public, sign};
use super::server::Trick;
use super::*;

/// A server that follows `/stable.channel`.
struct Follows {
    lab: Lab,
    keys: KeyPair,
    follower: Follower,
    published: u64,
}

impl Follows {
    fn new() -> Self {
        let (mut lab, keys) = (Lab::new(), key_pair());
        lab.keys = Arc::new(Keys::read(&[public(&keys)]).unwrap());
        let follower = lab.follow("/a/stable.channel");
        Self { lab, keys, follower, published: 0 }
    }

    /// Another server on the same cache.
    fn restart(&mut self) {
        self.follower = self.lab.follow("/a/stable.channel");
        wait(self.follower.recheck()).unwrap();
    }

    fn put_image(&self, number: usize) {
        let tag = format!("image {number}");
        self.lab.server.put(&format!("/a/i/{number}.img"), &image(number).bytes, Some(&tag));
    }

    fn publish(&mut self, serial: u64, images: &[usize]) {
        self.publish_as(serial, images, "");
    }

    fn publish_as(&mut self, serial: u64, images: &[usize], more: &str) {
        let entry = |&number: &usize| {
            let Image { bytes, contents, file } = image(number);
            format!(
                "{{\"file\": \"i/{number}.img\", \"image_sum\": \"{contents}\", \"file_sum\": \
                 \"{file}\", \"file_size\": {}}}",
                bytes.len()
            )
        };
        let entries: Vec<_> = images.iter().map(entry).collect();
        let list = format!(
            "{{\"format\": 1, \"channel\": \"stable\", \"serial\": {serial}, {more} \"images\": \
             [{}]}}\n",
            entries.join(", ")
        );
        self.published += 1;
        let tag = self.published.to_string();
        self.lab.server.put("/a/stable.channel", &sign(&self.keys, &list), Some(&tag));
    }

    fn refresh(&mut self) -> Result<(), String> {
        refresh(&mut self.follower)
    }

    fn assert_serves(&mut self, images: &[usize]) {
        let mut wanted: Vec<_> = images.iter().map(|&number| image(number).contents).collect();
        wanted.sort();
        let served = self.lab.served(&self.follower);
        assert!(served.iter().all(|(name, sum)| *name == format!("{sum}.img")), "{served:?}");
        assert_eq!(served.into_values().collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn a_channel_brings_its_images_and_takes_them_out_again() {
    let mut follows = Follows::new();
    follows.put_image(0);
    follows.put_image(1);
    follows.publish(7, &[0, 1]);
    follows.refresh().unwrap();
    follows.assert_serves(&[0, 1]);
    follows.lab.server.take_requests();
    follows.refresh().unwrap();
    assert_eq!(follows.lab.server.take_requests().len(), 1);
    follows.put_image(2);
    follows.publish(8, &[1, 2]);
    follows.refresh().unwrap();
    follows.assert_serves(&[1, 2]);
    // Back to what there was before is a new list, and nothing has to be fetched for it.
    follows.publish(9, &[0]);
    follows.lab.server.take_requests();
    follows.refresh().unwrap();
    follows.assert_serves(&[0]);
    assert_eq!(follows.lab.server.take_requests().len(), 1);
}

#[test]
fn the_old_images_stay_until_all_new_ones_are_there() {
    let mut follows = Follows::new();
    follows.put_image(0);
    follows.publish(7, &[0]);
    follows.refresh().unwrap();
    follows.publish(8, &[1, 2]);
    follows.put_image(1);
    for (trick, reason) in [
        (None, "i/2.img: there is nothing of this name: 404 Not Found"),
        (Some(Trick::Short(1)), "i/2.img: it has 1052671 bytes, and should have 1052672"),
        (Some(Trick::Cut(5000)), "i/2.img: "),
    ] {
        if let Some(trick) = trick {
            follows.put_image(2);
            follows.lab.server.play("/a/i/2.img", [trick]);
        }
        let error = follows.refresh().unwrap_err();
        assert!(error.starts_with(reason), "{error}");
        follows.assert_serves(&[0]);
        follows.restart();
        follows.assert_serves(&[0]);
    }
    // An image in the place of another is not what was signed.
    follows.lab.server.put("/a/i/2.img", &image(0).bytes, Some("other"));
    let error = follows.refresh().unwrap_err();
    assert!(error.contains("by its header, and should be"), "{error}");
    follows.put_image(2);
    follows.refresh().unwrap();
    follows.assert_serves(&[1, 2]);
}

#[test]
fn an_old_list_does_not_come_back_also_after_a_restart() {
    let mut follows = Follows::new();
    follows.put_image(0);
    follows.put_image(1);
    follows.publish(7, &[0]);
    follows.refresh().unwrap();
    follows.publish(8, &[1]);
    follows.refresh().unwrap();
    for _ in 0..2 {
        follows.publish(7, &[0]);
        let error = follows.refresh().unwrap_err();
        assert_eq!(error, "its serial number went back from 8 to 7");
        follows.publish(8, &[0]);
        let error = follows.refresh().unwrap_err();
        assert_eq!(error, "its serial number is still 8, but the list is another one");
        follows.assert_serves(&[1]);
        follows.restart();
    }
    follows.publish(9, &[0]);
    follows.refresh().unwrap();
    follows.assert_serves(&[0]);
}

#[test]
fn a_list_that_nobody_signed_is_not_followed() {
    let mut follows = Follows::new();
    follows.put_image(0);
    follows.put_image(1);
    follows.publish(7, &[0]);
    follows.refresh().unwrap();
    let ours = std::mem::replace(&mut follows.keys, key_pair());
    follows.publish(8, &[1]);
    let error = follows.refresh().unwrap_err();
    assert!(error.contains("none of the keys of --channel-key has signed it"), "{error}");
    follows.lab.server.put("/a/stable.channel", b"{\"format\": 1}", Some("bare"));
    let error = follows.refresh().unwrap_err();
    assert!(error.contains("four lines of a minisign signature"), "{error}");
    follows.assert_serves(&[0]);
    follows.keys = ours;
    follows.publish(8, &[1]);
    follows.refresh().unwrap();
    follows.assert_serves(&[1]);
}

#[test]
fn an_expired_list_brings_nothing_new_and_takes_nothing_away() {
    let mut follows = Follows::new();
    follows.put_image(0);
    follows.put_image(1);
    follows.publish_as(7, &[0], "\"expires\": \"2999-01-01T00:00:00Z\",");
    follows.refresh().unwrap();
    follows.publish_as(8, &[1], "\"expires\": \"2001-01-01T00:00:00Z\",");
    let error = follows.refresh().unwrap_err();
    assert!(error.contains("it expired at 2001-01-01 00:00:00 UTC"), "{error}");
    follows.assert_serves(&[0]);
}
