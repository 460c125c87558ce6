//! Programs from the npm registry, fetched by the machine's own `npm` so that its registry and certificates hold.
//!
//! Only the package's own files are taken (`npm pack`): nothing is installed on the machine and no script of a package
//! runs. What results is a tree that the image's root is overlaid with.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::ImageError;
use super::command::{Run, Said};
use super::definition::Program;

const ADVICE: &str = "check that npm reaches its registry (`npm ping`) and try again";

/// Lays the files of `program` out below `tree`, with `scratch` (an empty folder) for what is needed meanwhile.
pub(super) fn fetch(
    program: &Program,
    scratch: &Path,
    tree: &Path,
    said: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>,
) -> Result<(), ImageError> {
    let wanted = format!("{}@{}", program.package, program.version);
    let npm = Run { program: "npm", package: "npm", doing: format!("fetching {wanted} from npm"), advice: ADVICE };
    let mut pack = npm.command()?;
    pack.args(["pack", "--ignore-scripts", "--loglevel=error", "--pack-destination"]).arg(scratch);
    // Away from any project, whose `.npmrc` would be asked first.
    npm.finish(pack.arg(&wanted).current_dir(scratch), said)?;

    let archive = only_file(scratch)?;
    let package = scratch.join("package");
    fs::create_dir(&package).map_err(ImageError::file("creating", &package))?;
    let tar = Run { program: "tar", package: "tar", doing: format!("unpacking {wanted}"), advice: ADVICE };
    let mut unpack = tar.command()?;
    unpack.args(["--extract", "--strip-components=1", "--no-same-owner", "--file"]).arg(&archive);
    tar.finish(unpack.arg("--directory").arg(&package), said)?;

    for (from, to) in &program.copy {
        // By components: the system refuses to move a path that ends in `.`.
        let (from, to) = (package.join(from).components().collect::<PathBuf>(), tree.join(to));
        create_parent(&to)?;
        fs::rename(&from, &to).map_err(ImageError::file("taking from the package", &from))?;
    }
    for (path, target) in &program.link {
        let path = tree.join(path);
        create_parent(&path)?;
        symlink(target, &path).map_err(ImageError::file("linking", &path))?;
    }
    Ok(())
}

fn only_file(directory: &Path) -> Result<PathBuf, ImageError> {
    let mut entries = fs::read_dir(directory).map_err(ImageError::file("reading", directory))?;
    let entry = entries.next().unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()));
    Ok(entry.map_err(ImageError::file("reading", directory))?.path())
}

fn create_parent(path: &Path) -> Result<(), ImageError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(ImageError::file("creating", parent))
}
