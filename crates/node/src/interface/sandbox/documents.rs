//! Documents made into other documents by LibreOffice.
//!
//! It runs in the sandbox itself: whatever a document does to its reader, it does there. Each conversion has a profile of
//! its own, so that several run at once. LibreOffice reads no Markdown: that becomes HTML first.

use super::program::inside;
use super::{Interface, Unfulfilled};
use crate::clock;
use crate::interface::Request;
use crate::sandbox::{Collected, Command, ExecError};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use vitrine_capsule::Exit;
use vitrine_model::sandbox::WORKSPACE;

/// The longest conversion: a large document on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);
/// What the script ends with: there is no such file, LibreOffice made nothing of it, the result could not be written.
const NO_INPUT: i32 = 66;
const NOT_CONVERTED: i32 = 65;
const NOT_WRITTEN: i32 = 73;

/// Its arguments: the folder to work in, the input, the output, what reads the input, the new kind, what writes it.
const SCRIPT: &str = r#"
work=$1 in=$2 out=$3 reader=$4 kind=$5 writer=$6
[ -f "$in" ] && [ -r "$in" ] || exit 66
mkdir -m 700 "$work" "$work/out" || exit 73
case "$in" in *.[mM][dD] | *.[mM][aA][rR][kK][dD][oO][wW][nN])
  python3 -c "$7" "$in" "$work/in.html" >&2 || exit 65
  in=$work/in.html ;;
esac
soffice "-env:UserInstallation=file://$work/profile" --headless --norestore --nolockcheck --nodefault \
  "--infilter=$reader" --convert-to "$kind:$writer" --outdir "$work/out" "$in" >&2 </dev/null
set -- "$work"/out/*
[ -f "$1" ] || exit 65
mkdir -p "$(dirname "$out")" && cp -f "$1" "$out" && stat -c %s "$out" || exit 73
"#;

/// Pictures and links are relative to where the text lies.
const MARKDOWN: &str = r#"
import html, markdown, os, sys, urllib.parse
source, target = sys.argv[1:]
text = open(source, encoding='utf-8', errors='replace').read()
base = html.escape('file://' + urllib.parse.quote(os.path.dirname(os.path.realpath(source))) + '/')
body = markdown.markdown(text, extensions=['extra', 'sane_lists'])
page = '<!DOCTYPE html><html><head><meta charset="utf-8"><base href="%s"></head><body>%s</body></html>'
open(target, 'w', encoding='utf-8').write(page % (base, body))
"#;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Sheet,
    Slides,
}

/// A kind of document that can be read: its extension, and LibreOffice's name of what reads it.
struct Readable(&'static str, Family, &'static str);

const READABLE: [Readable; 16] = [
    Readable("docx", Family::Text, "MS Word 2007 XML"),
    Readable("doc", Family::Text, "MS Word 97"),
    Readable("odt", Family::Text, "writer8"),
    Readable("rtf", Family::Text, "Rich Text Format"),
    Readable("txt", Family::Text, "Text (encoded):UTF8"),
    Readable("html", Family::Text, HTML),
    Readable("htm", Family::Text, HTML),
    Readable("md", Family::Text, HTML),
    Readable("markdown", Family::Text, HTML),
    Readable("xlsx", Family::Sheet, "Calc MS Excel 2007 XML"),
    Readable("xls", Family::Sheet, "MS Excel 97"),
    Readable("ods", Family::Sheet, "calc8"),
    Readable("csv", Family::Sheet, "Text - txt - csv (StarCalc):44,34,76,1"),
    Readable("pptx", Family::Slides, "Impress MS PowerPoint 2007 XML"),
    Readable("ppt", Family::Slides, "MS PowerPoint 97"),
    Readable("odp", Family::Slides, "impress8"),
];
const HTML: &str = "HTML (StarWriter)";

/// A kind that a family of documents can become: its extension, and LibreOffice's name of what writes it.
struct Writable(Family, &'static str, &'static str);

const WRITABLE: [Writable; 13] = [
    Writable(Family::Text, "pdf", "writer_pdf_Export"),
    Writable(Family::Text, "docx", "MS Word 2007 XML"),
    Writable(Family::Text, "odt", "writer8"),
    Writable(Family::Text, "html", HTML),
    Writable(Family::Text, "txt", "Text (encoded):UTF8"),
    Writable(Family::Sheet, "pdf", "calc_pdf_Export"),
    Writable(Family::Sheet, "xlsx", "Calc MS Excel 2007 XML"),
    Writable(Family::Sheet, "ods", "calc8"),
    Writable(Family::Sheet, "csv", "Text - txt - csv (StarCalc):44,34,76,1"),
    Writable(Family::Sheet, "html", "HTML (StarCalc)"),
    Writable(Family::Slides, "pdf", "impress_pdf_Export"),
    Writable(Family::Slides, "pptx", "Impress MS PowerPoint 2007 XML"),
    Writable(Family::Slides, "odp", "impress8"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    path: String,
    to: String,
    /// Without: beside the document, with the new extension.
    output_path: Option<String>,
}

/// What is to be done, in words of the script.
#[derive(Debug, PartialEq, Eq)]
struct Conversion {
    input: String,
    output: String,
    reader: &'static str,
    kind: &'static str,
    writer: &'static str,
}

impl Conversion {
    fn of(wanted: &Wanted) -> Result<Self, Unfulfilled> {
        let input = inside(&wanted.path)?;
        let extension = Path::new(&input).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let Some(Readable(own, family, reader)) = READABLE.iter().find(|readable| readable.0 == extension) else {
            let known = READABLE.map(|readable| readable.0).join(", ");
            return Err(Unfulfilled::field("path", format!("the name ends in none of these: {known}")));
        };
        let possible = || WRITABLE.iter().filter(|writable| writable.0 == *family && writable.1 != *own);
        let Some(Writable(_, kind, writer)) = possible().find(|writable| writable.1 == wanted.to) else {
            let known = possible().map(|writable| writable.1).collect::<Vec<_>>().join(", ");
            return Err(Unfulfilled::field("to", format!("{own} can become {known}")));
        };
        let output = match &wanted.output_path {
            Some(path) => inside(path).map_err(|error| Unfulfilled::field("outputPath", error.message()))?,
            None => Path::new(&input).with_extension(kind).to_string_lossy().into_owned(),
        };
        if output == input {
            return Err(Unfulfilled::field("outputPath", "it is the document itself"));
        }
        Ok(Self { input, output, reader, kind, writer })
    }

    fn command(&self, work: &str) -> Command {
        let arguments = [work, &self.input, &self.output, self.reader, self.kind, self.writer, MARKDOWN];
        let argv = ["sh", "-c", SCRIPT, "convert"].into_iter().chain(arguments);
        command(argv.map(str::to_owned).collect(), TIME_LIMIT)
    }
}

fn command(argv: Vec<String>, time_limit: Duration) -> Command {
    Command { argv, env: Vec::new(), cwd: WORKSPACE.into(), stdin: Vec::new(), time_limit }
}

pub(super) async fn convert(
    State(interface): State<Interface>,
    Request(wanted): Request<Wanted>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let Interface { shared, door, sandbox } = interface;
    if !sandbox.spec().documents {
        return Err(Unfulfilled::new(StatusCode::CONFLICT, "the sandbox was created without LibreOffice"));
    }
    let conversion = Conversion::of(&wanted)?;
    let work = format!("/tmp/convert-{}", clock::unique());
    let (command_line, removal) =
        (conversion.command(&work), command(["rm", "-rf", &work].map(str::to_owned).to_vec(), REMOVAL_LIMIT));
    let (end, ended) = oneshot::channel();
    let gone = CancellationToken::new();
    let _waits = gone.clone().drop_guard();
    // On a task of its own: what was begun is also cleaned up when the caller leaves.
    shared.serve(async move {
        let mut said = Collected::default();
        let outcome = sandbox.run(command_line, &door, &mut said, &gone).await;
        let removed = sandbox.run(removal, &door, &mut Collected::default(), &CancellationToken::new()).await;
        if let Err(error) = removed {
            tracing::debug!(%error, "a conversion's folder stays until its sandbox ends");
        }
        let _ = end.send((outcome, said));
    });
    let (outcome, said) = ended.await.map_err(|_| ExecError::Ending)?;
    let (outcome, (size, complaints)) = (outcome?, said.texts());
    if outcome.timed_out {
        let limit = TIME_LIMIT.as_secs();
        return Err(Unfulfilled::field("path", format!("the document was not converted within {limit} s")));
    }
    if outcome.out_of_memory {
        return Err(Unfulfilled::field("path", "the sandbox has too little memory for the document"));
    }
    match outcome.exit {
        Some(Exit::Code(0)) => {
            let size: u64 = size.trim().parse().unwrap_or(0);
            Ok(Json(serde_json::json!({ "ok": true, "path": conversion.output, "size": size })))
        }
        exit => Err(failure(&conversion, exit, &complaints)),
    }
}

fn failure(conversion: &Conversion, exit: Option<Exit>, complaints: &str) -> Unfulfilled {
    if complaints.contains("No space left on device") {
        return Unfulfilled::new(StatusCode::INSUFFICIENT_STORAGE, "no space is left on the sandbox's disk");
    }
    match exit {
        Some(Exit::Code(NO_INPUT)) => {
            Unfulfilled::new(StatusCode::NOT_FOUND, format!("there is no file {}", conversion.input))
        }
        Some(Exit::Code(NOT_WRITTEN)) => {
            Unfulfilled::field("outputPath", format!("{} cannot be written", conversion.output))
        }
        Some(Exit::Code(NOT_CONVERTED)) => {
            Unfulfilled::field("path", format!("{} cannot be read as what its name says", conversion.input))
        }
        _ => Unfulfilled::new(StatusCode::CONFLICT, format!("{} could not be converted", conversion.input)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(path: &str, to: &str, output: Option<&str>) -> Result<Conversion, String> {
        let wanted = Wanted { path: path.into(), to: to.into(), output_path: output.map(Into::into) };
        Conversion::of(&wanted).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn kinds_follow_from_names_and_errors_name_their_field() {
        let made = conversion("report.v2.DOCX", "pdf", None).unwrap();
        assert_eq!(
            (made.input.as_str(), made.output.as_str()),
            ("/workspace/report.v2.DOCX", "/workspace/report.v2.pdf")
        );
        assert_eq!((made.reader, made.writer), ("MS Word 2007 XML", "writer_pdf_Export"));
        assert_eq!(conversion("/a/b.md", "docx", Some("out/c.docx")).unwrap().output, "/workspace/out/c.docx");
        for (path, to, output, field) in [
            ("a.exe", "pdf", None, "path: "),
            ("noextension", "pdf", None, "path: "),
            ("", "pdf", None, "path: "),
            ("a.csv", "docx", None, "to: csv can become pdf, xlsx, ods, html"),
            ("a.docx", "docx", None, "to: "),
            ("a.docx", "", None, "to: "),
            ("a.docx", "pdf", Some(""), "outputPath: "),
            ("a.docx", "pdf", Some("./a.docx"), "outputPath: it is the document itself"),
        ] {
            let refused = conversion(path, to, output).unwrap_err();
            assert!(refused.starts_with(field), "{path} to {to}: {refused}");
        }
    }

    #[test]
    fn every_kind_that_is_asked_for_becomes_a_pdf() {
        for Readable(extension, ..) in READABLE {
            assert!(conversion(&format!("a.{extension}"), "pdf", None).is_ok(), "{extension}");
        }
    }
}
