//! The id of the container, from what the kernel says about this process.

/// The id, on Linux in a container whose runtime puts it where a process can see it.
pub(super) fn id() -> Option<String> {
    let read = |path| std::fs::read_to_string(path).ok();
    read("/proc/self/cgroup")
        .and_then(|text| from_cgroup(&text))
        .or_else(|| read("/proc/self/mountinfo").and_then(|text| from_mountinfo(&text)))
}

/// Control groups version 1 name the container as the last segment of their path, alone or
/// as in `docker-<id>.scope` and `cri-containerd:<id>`.
fn from_cgroup(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let segment = line.rsplit('/').next()?;
        let segment = segment.strip_suffix(".scope").unwrap_or(segment);
        let id = segment.rsplit(['-', ':']).next()?;
        is_id(id).then(|| id.to_owned())
    })
}

/// Version 2 shows no path; but the files that the runtime mounts into the container
/// (`/etc/hostname`, …) come from a folder named after it. The sandbox of a pod, which has such
/// files too, is another container: only what stands below a folder of containers counts.
fn from_mountinfo(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let root = line.split(' ').nth(3)?;
        let below = root.split('/').zip(root.split('/').skip(1));
        below
            .filter(|(folder, _)| folder.ends_with("containers"))
            .find_map(|(_, name)| is_id(name).then(|| name.to_owned()))
    })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "dc64b5743252dbaef6e30521c34d6bbd1620c8ce65bdb7bf9e7143b61bb5b183";

    #[test]
    fn cgroup_paths_of_the_known_runtimes() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/besteffort/pod2c48913c-b29f-11e7-9350-020968147796/{ID}"),
            format!("/kubepods-besteffort.slice/cri-containerd-{ID}.scope"),
            format!("/system.slice/containerd.service/kubepods:cri-containerd:{ID}"),
        ] {
            let text = format!("13:name=systemd:/\n12:pids:{path}\n");
            assert_eq!(from_cgroup(&text).as_deref(), Some(ID), "{path}");
        }
        assert_eq!(from_cgroup("0::/\n0::/user.slice/session-1.scope\n"), None);
    }

    #[test]
    fn mounts_of_a_container_but_not_of_its_sandbox() {
        let line = |root: &str| {
            format!(
                "1 2 0:50 / / rw - overlay overlay rw\n3 1 8:1 {root} /etc/hostname rw - ext4\n"
            )
        };
        let docker = line(&format!("/var/lib/docker/containers/{ID}/hostname"));
        assert_eq!(from_mountinfo(&docker).as_deref(), Some(ID));
        let podman = line(&format!("/containers/overlay-containers/{ID}/userdata/hostname"));
        assert_eq!(from_mountinfo(&podman).as_deref(), Some(ID));
        let sandbox = line(&format!("/var/lib/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname"));
        assert_eq!(from_mountinfo(&sandbox), None);
    }
}
