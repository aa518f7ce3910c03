//! The far end of a cable, by packet socket: what is sent there reaches the node, what the node sends is seen there.

use crate::sys;
use crate::testns::{set_link, veth};
use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv4Type, Icmpv6Type};
use etherparse::{IcmpEchoHeader, PacketBuilder};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

pub(super) const NODE4: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(super) const NODE6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);
pub(super) const PUBLIC4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 100), Ipv4Addr::new(10, 9, 0, 101)];
pub(super) const PUBLIC6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x100), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x101)];
const CLIENT4: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 200);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x200);
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const BROADCAST: [u8; 6] = [0xff; 6];
const PORT: u16 = 4321;
/// How long an answer that is due may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The cable, and the node's end of it.
pub(super) struct Wire {
    far: Socket,
    near: Socket,
    node_mac: [u8; 6],
    sequence: u16,
}

/// What makes the node speak for a public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stimulus {
    ArpBroadcast,
    ArpUnicast,
    ArpProbe,
    Echo,
    Datagram,
    LocalSender,
    OwnArp,
    GratuitousArp,
    SolicitationMulticast,
    SolicitationUnicast,
    Echo6,
    LocalSender6,
    PacketAdvertisement,
}

pub(super) const ALL: [Stimulus; 13] = [
    Stimulus::ArpBroadcast,
    Stimulus::ArpUnicast,
    Stimulus::ArpProbe,
    Stimulus::Echo,
    Stimulus::Datagram,
    Stimulus::LocalSender,
    Stimulus::OwnArp,
    Stimulus::GratuitousArp,
    Stimulus::SolicitationMulticast,
    Stimulus::SolicitationUnicast,
    Stimulus::Echo6,
    Stimulus::LocalSender6,
    Stimulus::PacketAdvertisement,
];

impl Wire {
    /// `pub` with the node's and the public addresses, `far` with none; `lo` up.
    pub(super) async fn up() -> Self {
        // Frames keep their order on one CPU.
        let mut one = CpuSet::new();
        one.set(0).unwrap();
        sched_setaffinity(Pid::from_raw(0), &one).unwrap();
        set_link("lo", true).await;
        veth("pub", "far").await;
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let index = if_nametoindex("pub").unwrap();
        let (netif, _watch) = crate::netif::Netif::open().await.unwrap();
        let (v4, v6) = (PUBLIC4.map(IpAddr::from), PUBLIC6.map(IpAddr::from));
        for addr in [NODE4.into(), v4[0], v4[1]] {
            netif.add_address("pub", addr, 24).await.unwrap();
        }
        for addr in [NODE6.into(), v6[0], v6[1]] {
            netif.add_address("pub", addr, 64).await.unwrap();
        }
        for client in [IpAddr::from(CLIENT4), CLIENT6.into()] {
            handle.neighbours().add(index, client).link_layer_address(&CLIENT_MAC).execute().await.unwrap();
        }
        let node_mac = netif.hardware("pub").await.unwrap().mac.unwrap();
        Self { far: tap("far"), near: tap("pub"), node_mac, sequence: 0 }
    }

    /// Whether the node speaks for public address number `which`. Nothing to wait for means: an echo that was asked for afterwards
    /// is answered, since the kernel works frames off in order.
    pub(super) fn speaks(&mut self, stimulus: Stimulus, which: usize) -> bool {
        let (public4, public6) = (PUBLIC4[which], PUBLIC6[which]);
        self.drain();
        let receiver = (stimulus == Stimulus::Datagram).then(|| udp((public4, PORT).into()));
        let refused = self.provoke(stimulus, public4, public6);
        let (seen, frames) = self.frames_until_echo();
        let spoken = frames.iter().any(|f| speaks_for(f, public4, public6));
        if let Some(receiver) = receiver {
            assert!(seen, "the node's own address must answer");
            return receiver.recv(&mut [0; 8]).is_ok();
        }
        assert!(seen, "the node's own address must answer ({stimulus:?}); frames: {frames:02x?}");
        if matches!(stimulus, Stimulus::LocalSender | Stimulus::LocalSender6 | Stimulus::OwnArp) {
            assert_eq!(
                refused, !spoken,
                "{stimulus:?}: a local sender is told that its packet was held back"
            );
        }
        spoken
    }

    /// Whether an echo request to `to` is answered before one to the node.
    pub(super) fn echo(&mut self, to: Ipv4Addr) -> bool {
        self.drain();
        self.send_echo(to);
        let (seen, frames) = self.frames_until_echo();
        assert!(seen, "the node's own address must answer");
        frames.iter().any(|f| f[26..30] == to.octets())
    }

    fn provoke(&mut self, stimulus: Stimulus, public4: Ipv4Addr, public6: Ipv6Addr) -> bool {
        let mac = self.node_mac;
        let group =
            Ipv6Addr::from((0xff02_u128 << 112) | (0x1_ff00_0000) | (u128::from(public6) & 0xff_ffff));
        match stimulus {
            Stimulus::ArpBroadcast => self.far_sends(&arp(CLIENT_MAC, BROADCAST, CLIENT4, public4)),
            Stimulus::ArpUnicast => self.far_sends(&arp(CLIENT_MAC, mac, CLIENT4, public4)),
            Stimulus::ArpProbe => self.far_sends(&arp(CLIENT_MAC, BROADCAST, Ipv4Addr::UNSPECIFIED, public4)),
            Stimulus::Echo => self.send_echo(public4),
            Stimulus::Datagram => {
                let packet =
                    PacketBuilder::ethernet2(CLIENT_MAC, mac).ipv4(CLIENT4.octets(), public4.octets(), 64);
                let mut bytes = Vec::new();
                packet.udp(9999, PORT).write(&mut bytes, b"x").unwrap();
                self.far_sends(&bytes);
            }
            Stimulus::LocalSender => return refused(&udp((public4, 0).into()), CLIENT4.into()),
            Stimulus::LocalSender6 => return refused(&udp((public6, 0).into()), CLIENT6.into()),
            Stimulus::OwnArp => {
                // An address that nobody has, another each time: the node asks for it in the name of the public one.
                self.sequence += 1;
                let unknown = Ipv4Addr::from(u32::from(CLIENT4) + 1 + u32::from(self.sequence % 50));
                return refused(&udp((public4, 0).into()), unknown.into());
            }
            Stimulus::GratuitousArp => self.near_sends(&arp(mac, BROADCAST, public4, public4)),
            Stimulus::SolicitationMulticast => {
                let [.., a, b, c] = group.octets();
                self.solicit([0x33, 0x33, 0xff, a, b, c], group, public6);
            }
            Stimulus::SolicitationUnicast => self.solicit(mac, public6, public6),
            Stimulus::Echo6 => {
                let mut bytes = Vec::new();
                let echo = IcmpEchoHeader { id: 7, seq: 1 };
                PacketBuilder::ethernet2(CLIENT_MAC, mac)
                    .ipv6(CLIENT6.octets(), public6.octets(), 64)
                    .icmpv6(Icmpv6Type::EchoRequest(echo))
                    .write(&mut bytes, b"x")
                    .unwrap();
                self.far_sends(&bytes);
            }
            Stimulus::PacketAdvertisement => {
                let flags = NeighborAdvertisementHeader { router: false, solicited: false, r#override: true };
                let kind = Icmpv6Type::NeighborAdvertisement(flags);
                let to = (0xff02_u128 << 112) | 1;
                let bytes = discovery(mac, [0x33, 0x33, 0, 0, 0, 1], NODE6, to.into(), kind, public6);
                self.near_sends(&bytes);
            }
        }
        false
    }

    fn solicit(&self, mac: [u8; 6], to: Ipv6Addr, target: Ipv6Addr) {
        let kind = Icmpv6Type::NeighborSolicitation;
        self.far_sends(&discovery(CLIENT_MAC, mac, CLIENT6, to, kind, target));
    }

    fn send_echo(&self, to: Ipv4Addr) {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2(CLIENT_MAC, self.node_mac)
            .ipv4(CLIENT4.octets(), to.octets(), 64)
            .icmpv4(Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 7, seq: 1 }))
            .write(&mut bytes, b"x")
            .unwrap();
        self.far_sends(&bytes);
    }

    fn far_sends(&self, frame: &[u8]) {
        (&self.far).write_all(frame).unwrap();
    }

    /// The gate tells a packet socket that its frame was held back with ENOBUFS; that is not what is tested.
    fn near_sends(&self, frame: &[u8]) {
        let _held_back = (&self.near).write(frame);
    }

    fn drain(&self) {
        let mut buffer = [0; 2048];
        while (&self.far).read(&mut buffer).is_ok() {}
    }

    /// Asks the node's own address for an echo and returns what is heard until then, and whether it came.
    fn frames_until_echo(&self) -> (bool, Vec<Vec<u8>>) {
        self.send_echo(NODE4);
        let (mut frames, start) = (Vec::new(), Instant::now());
        let mut buffer = [0; 2048];
        while start.elapsed() < PATIENCE {
            let Ok(got) = (&self.far).read(&mut buffer) else { continue };
            let frame = buffer[..got].to_vec();
            let is_ip = frame[12..14] == [8, 0];
            if is_ip && frame[26..30] == NODE4.octets() {
                return (true, frames);
            }
            frames.push(frame);
        }
        (false, frames)
    }
}

/// Whether a frame that the node sent speaks in the name of a public address.
fn speaks_for(frame: &[u8], public4: Ipv4Addr, public6: Ipv6Addr) -> bool {
    match [frame[12], frame[13]] {
        [8, 6] => frame[28..32] == public4.octets(),
        [8, 0] => frame[26..30] == public4.octets(),
        [0x86, 0xdd] => {
            frame[22..38] == public6.octets()
                || (frame[20] == 58 && frame[54] == 136 && frame[62..78] == public6.octets())
        }
        _ => false,
    }
}

fn refused(socket: &UdpSocket, to: IpAddr) -> bool {
    match socket.send_to(b"x", (to, PORT)) {
        Ok(_) => false,
        Err(e) => {
            assert_eq!(e.raw_os_error(), Some(Errno::EPERM as i32));
            true
        }
    }
}

fn udp(at: std::net::SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn arp(from: [u8; 6], to: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (sender, target) = (sender.octets(), target.octets());
    let request = ArpOperation::REQUEST;
    let packet =
        ArpPacket::new(ArpHardwareId::ETHERNET, EtherType::IPV4, request, &from, &sender, &[0; 6], &target);
    PacketBuilder::ethernet2(from, to).arp(packet.unwrap()).write(&mut bytes).unwrap();
    bytes
}

fn discovery(
    from_mac: [u8; 6],
    to_mac: [u8; 6],
    from: Ipv6Addr,
    to: Ipv6Addr,
    kind: Icmpv6Type,
    target: Ipv6Addr,
) -> Vec<u8> {
    let option = if matches!(kind, Icmpv6Type::NeighborSolicitation) { 1 } else { 2 };
    let mut body = target.octets().to_vec();
    body.extend_from_slice(&[option, 1]);
    body.extend_from_slice(&from_mac);
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(from_mac, to_mac)
        .ipv6(from.octets(), to.octets(), 255)
        .icmpv6(kind)
        .write(&mut bytes, &body)
        .unwrap();
    bytes
}

fn tap(iface: &str) -> Socket {
    const ALL_PROTOCOLS: u16 = 3;
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    let index = if_nametoindex(iface).unwrap();
    socket.bind(&sys::packet_address(index, ALL_PROTOCOLS).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}
