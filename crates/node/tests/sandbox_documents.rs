//! Documents in a real sandbox with a real LibreOffice: what comes out is looked at.

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::process::Command;
use support::sandbox::{Lab, spec};
use tokio::sync::watch;
use vitrine_capsule::image::{Definition, Settings, Store};
use vitrine_node::Image;

/// Makes a document with a table and a red picture out of nothing but Python.
const MAKE_DOCX: &str = r##"
import struct, zipfile, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
rows = b''.join(b'\0' + b'\xff\0\0' * 40 for _ in range(40))
png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 40, 40, 8, 2, 0, 0, 0))
png += chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
W = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main'
R = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
D = 'http://schemas.openxmlformats.org/drawingml/2006'
cell = lambda text: '<w:tc><w:tcPr><w:tcW w:w="3000" w:type="dxa"/></w:tcPr><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:tc>' % text
border = ''.join('<w:%s w:val="single" w:sz="12"/>' % side for side in ('top', 'left', 'bottom', 'right', 'insideH', 'insideV'))
table = '<w:tbl><w:tblPr><w:tblBorders>%s</w:tblBorders></w:tblPr><w:tblGrid><w:gridCol w:w="3000"/><w:gridCol w:w="3000"/></w:tblGrid>' % border
table += ''.join('<w:tr>%s%s</w:tr>' % (cell(a), cell(b)) for a, b in (('Fruit', 'Price'), ('Äpfel', '42'))) + '</w:tbl>'
picture = '''<w:p><w:r><w:drawing><wp:inline xmlns:wp="%(D)s/wordprocessingDrawing"><wp:extent cx="1800000" cy="1800000"/>
<wp:docPr id="1" name="p"/><a:graphic xmlns:a="%(D)s/main"><a:graphicData uri="%(D)s/picture"><pic:pic xmlns:pic="%(D)s/picture">
<pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="r1"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>
<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="1800000" cy="1800000"/></a:xfrm><a:prstGeom prst="rect"/></pic:spPr></pic:pic>
</a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>''' % {'D': D}
document = '<w:document xmlns:w="%s" xmlns:r="%s"><w:body>%s%s</w:body></w:document>' % (W, R, table, picture)
P = 'http://schemas.openxmlformats.org/package/2006'
types = '<Types xmlns="%s/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="png" ContentType="image/png"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>' % P
relation = lambda id, kind, target: '<Relationships xmlns="%s/relationships"><Relationship Id="%s" Type="%s/%s" Target="%s"/></Relationships>' % (P, id, R, kind, target)
with zipfile.ZipFile('/workspace/report.docx', 'w') as z:
    z.writestr('[Content_Types].xml', types)
    z.writestr('_rels/.rels', relation('r1', 'officeDocument', 'word/document.xml'))
    z.writestr('word/document.xml', document)
    z.writestr('word/_rels/document.xml.rels', relation('r1', 'image', 'media/p.png'))
    z.writestr('word/media/p.png', png)
"##;

async fn lab() -> Lab {
    let store = Store::new(std::env::var_os("VITRINE_IMAGE_DIR").map_or_else(Store::default_directory, Into::into));
    let definition = Definition::embedded("documents").unwrap();
    let built = store.build(&definition, &Settings::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    let image = Image::Ready { rootfs: built.rootfs, environment: built.environment.into_iter().collect() };
    let mut spec = spec();
    spec.documents = true;
    Lab::with(spec, |config| config.sandbox.documents = watch::Sender::new(image).subscribe()).await
}

async fn convert(lab: &Lab, request: Value) -> Value {
    let (status, answer) = lab.post("/documents/convert", request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test]
async fn a_document_with_a_table_and_a_picture_becomes_a_page() {
    let lab = lab().await;
    let (status, made) = lab.post("/code", json!({ "language": "python", "code": MAKE_DOCX })).await;
    assert!(status == StatusCode::OK && made["exitCode"] == 0, "{made}");
    let answer = convert(&lab, json!({ "path": "report.docx", "to": "pdf" })).await;
    assert_eq!(answer["path"], "/workspace/report.pdf");
    let (status, pdf) = lab.ask(Method::GET, "/fs/raw?path=/workspace/report.pdf", "").await;
    assert_eq!((status, pdf.len() as u64), (StatusCode::OK, answer["size"].as_u64().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.pdf");
    std::fs::write(&file, pdf).unwrap();
    let text = Command::new("pdftotext").args(["-layout".as_ref(), file.as_os_str(), "-".as_ref()]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    for word in ["Fruit", "Price", "Äpfel", "42"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    // A page of 50 dots an inch: five centimetres of red, and the lines of the table.
    let page = Command::new("pdftoppm").args(["-r", "50", "-f", "1", "-l", "1"]).arg(&file).output().unwrap().stdout;
    let pixels = page.splitn(4, |byte| *byte == b'\n').last().unwrap();
    let count = |is: fn(&[u8]) -> bool| pixels.chunks_exact(3).filter(|pixel| is(pixel)).count();
    let red = count(|pixel| pixel[0] > 200 && pixel[1] < 60 && pixel[2] < 60);
    assert!((8_000..12_000).contains(&red), "{red} red dots");
    assert!(count(|pixel| pixel.iter().all(|part| *part < 100)) > 400, "no lines");
    lab.finish().await;
}

#[tokio::test]
async fn kinds_become_others_several_at_once_and_nothing_is_left() {
    let lab = lab().await;
    lab.says("printf '# Head\\n\\n| a | b |\\n|---|---|\\n| 1 | zwei ü |\\n' > note.md; printf 'a,b\\n1,\"ü, 2\"\\n' > table.csv").await;
    // Markdown is read by way of HTML, and so on: what one makes the next reads.
    convert(&lab, json!({ "path": "note.md", "to": "docx" })).await;
    let made = tokio::join!(
        convert(&lab, json!({ "path": "note.docx", "to": "html", "outputPath": "out/note.html" })),
        convert(&lab, json!({ "path": "table.csv", "to": "xlsx" })),
        convert(&lab, json!({ "path": "note.docx", "to": "odt" })),
        convert(&lab, json!({ "path": "note.md", "to": "pdf", "outputPath": "/root/note.pdf" })),
    );
    assert_eq!((&made.0["path"], &made.3["path"]), (&json!("/workspace/out/note.html"), &json!("/root/note.pdf")));
    convert(&lab, json!({ "path": "table.xlsx", "to": "csv", "outputPath": "back.csv" })).await;
    assert_eq!(lab.says("cat back.csv").await, "\"a\",\"b\"\n1,\"ü, 2\"");
    assert!(lab.says("cat out/note.html").await.contains("zwei"));
    assert_eq!(lab.says("ls /tmp | grep -c convert; head -c 4 /root/note.pdf").await, "0\n%PDF");
    lab.finish().await;
}

#[tokio::test]
async fn what_cannot_be_converted_is_said_with_the_field() {
    let lab = lab().await;
    lab.says("head -c 5000 /dev/urandom > broken.docx; mkfifo pipe.docx; printf 'a,b\\n' > table.csv").await;
    for (request, status, words) in [
        (
            json!({ "path": "absent.docx", "to": "pdf" }),
            StatusCode::NOT_FOUND,
            "there is no file /workspace/absent.docx",
        ),
        (json!({ "path": "pipe.docx", "to": "pdf" }), StatusCode::NOT_FOUND, "there is no file /workspace/pipe.docx"),
        (json!({ "path": "broken.docx", "to": "pdf" }), StatusCode::BAD_REQUEST, "path: "),
        (json!({ "path": "table.csv", "to": "docx" }), StatusCode::BAD_REQUEST, "to: "),
        (json!({ "path": "table.csv", "to": "pdf", "outputPath": "/proc/x" }), StatusCode::BAD_REQUEST, "outputPath: "),
    ] {
        let answer = lab.post("/documents/convert", request.clone()).await;
        assert!(answer.0 == status && answer.1["error"].as_str().unwrap().starts_with(words), "{request}: {answer:?}");
    }
    lab.finish().await;
    let plain = Lab::new().await;
    let (status, _) = plain.post("/documents/convert", json!({ "path": "a.md", "to": "pdf" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    plain.finish().await;
}
